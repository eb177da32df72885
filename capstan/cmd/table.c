/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of all commands and their options. */
#include "commands.h"

#define END          \
	{            \
		NULL \
	}

const struct cmd_opt cmd_global_opts[] = {
    {"url, u", "value", "remote repository URL"},
    {"root", "value", "capstan root directory (default: $CAPSTAN_ROOT or ~/.capstan)", NULL, 0,
	KIND_DIR},
    {"verbose, v", NULL, "say more about what is done"},
    {"json", NULL, "print results and events as JSON"},
    {"no-progress", NULL, "no progress bars"},
    {"help, h", NULL, "show help"},
    {"version", NULL, "print the version"},
    END,
};

static const struct cmd_opt run_opts[] = {
    {"i", "value", "image name or file", NULL, 0, KIND_IMAGE},
    {"host", NULL, "run a program of this host with the libraries it needs"},
    {"p", "value", "hypervisor: qemu|vbox|vmw|gce", "qemu"},
    {"memory, m", "value", "memory size", "1G"},
    {"cpus, c", "value", "number of CPUs", "2"},
    {"network, n", "value",
	"networking: none|nat|bridge|tap|vhost (default: nat; none with --host)"},
    {"verbose, v", NULL, "verbose mode"},
    {"b", "value", "networking device (bridge or tap): e.g., virbr0, tap0"},
    {"forward, f", "value", "port forwarding rule [ADDRESS:]HOST:GUEST[/udp]", NULL, OPT_REPEAT},
    {"gce-upload-dir", "value", "directory to upload a local image to: e.g., gs://images"},
    {"mac", "value", "MAC address; generated from the instance's name if not specified"},
    {"execute, e", "value", "command line to execute"},
    {"runconfig, r, boot", "value", "config_set name (specified in meta/run.yaml)"},
    {"env", "K=V", "environment variable", NULL, OPT_REPEAT},
    {"cwd", "dir", "working directory of the program in the guest"},
    {"hostname", "value", "host name of the guest"},
    {"user", "uid", "user id the program runs as"},
    {"file", "HOST:GUEST", "also put this file into the image (--host)", NULL, OPT_REPEAT,
	KIND_FILE},
    {"dir", "HOST:GUEST", "also put this directory into the image (--host)", NULL, OPT_REPEAT,
	KIND_DIR},
    {"no-auto-files", NULL, "do not take files named by arguments along (--host)"},
    {"disk", "file", "attach a file as another disk", NULL, OPT_REPEAT, KIND_FILE},
    {"mount", "FSTYPE:SOURCE:TARGET", "mount in the guest before the program starts", NULL,
	OPT_REPEAT},
    {"machine", "value", "machine type: microvm|q35|pc (default: microvm where it fits)"},
    {"kernel", "file", "kernel to boot", NULL, 0, KIND_FILE},
    {"kernel-arg", "value", "option for the kernel command line", NULL, OPT_REPEAT},
    {"qemu-arg", "value", "argument for QEMU", NULL, OPT_REPEAT},
    {"loglevel", "0-7", "kernel messages: 0 none, 3 default, 7 everything"},
    {"strace", NULL, "print every system call"},
    {"trace", "pattern", "enable kernel tracepoints", NULL, OPT_REPEAT},
    {"gdb", NULL, "wait for gdb on port 1234"},
    {"watch", NULL, "add the monitoring service; the dashboard's address is printed"},
    {"volume", "name", "attach a volume as another disk", NULL, OPT_REPEAT, KIND_VOLUME},
    {"persist", NULL, "keep what the guest writes to its disk, for the next run of the instance"},
    {"detach, d", NULL, "run in the background; see capstan instances, logs and stop"},
    END,
};

static const struct cmd_opt hub_opts[] = {
    {"port, p", "value", "port to listen on (0: any)", "8480"},
    {"address, a", "value", "address to listen on", "127.0.0.1"},
    {"token", "value", "token for uploads (default: made once and kept in DIRECTORY/.hub/token)"},
    {"tls-cert", "file", "certificate for HTTPS (PEM)", NULL, 0, KIND_FILE},
    {"tls-key", "file", "its key (PEM)", NULL, 0, KIND_FILE},
    END,
};

static const struct cmd_opt export_opts[] = {
    {"format, f", "value", "qcow2, raw, vdi (VirtualBox), vmdk (VMware) or raw.tar.gz (Google)",
	"qcow2"},
    END,
};

/* How to reach running guests. */
#define GUEST_OPTIONS                                                                          \
	{"guest, g", "value", "instance name or URL of the guest", NULL, OPT_REPEAT,           \
	    KIND_INSTANCE},                                                                    \
	    {"token", "value", "bearer token (default: $CARRARA_TOKEN)"},                      \
	    {"ca", "file", "certificates that sign the guest's (PEM)", NULL, 0, KIND_FILE},    \
	    {"cert", "file", "certificate to show to the guest (PEM)", NULL, 0, KIND_FILE},    \
	    {"key", "file", "its key (PEM)", NULL, 0, KIND_FILE},                              \
	{                                                                                      \
		"insecure", NULL, "accept any certificate of the guest"                        \
	}
#define ROUNDS                                                                                 \
	{"interval, i", "seconds", "time between two looks", "2"},                             \
	{                                                                                      \
		"count, n", "value", "how often; then end (default: until interrupted)"        \
	}

static const struct cmd_opt top_opts[] = {
    GUEST_OPTIONS, ROUNDS, {"idle", NULL, "also the threads of idle CPUs"}, END};
static const struct cmd_opt freq_opts[] = {
    GUEST_OPTIONS, ROUNDS, {"keep", NULL, "leave counting on at the end"}, END};
static const struct cmd_opt exec_opts[] = {GUEST_OPTIONS,
    {"cwd", "dir", "working directory in the guest"},
    {"input, i", NULL, "send standard input to the program"},
    {"detach, d", NULL, "do not wait; print the program's id"}, END};
static const struct cmd_opt cp_opts[] = {
    GUEST_OPTIONS, {"recursive, r", NULL, "directories with what is in them"}, END};
static const struct cmd_opt trace_record_opts[] = {GUEST_OPTIONS,
    {"duration, d", "seconds", "how long", "1"},
    {"backtrace, b", NULL, "also record call chains"},
    {"sample, s", "hz", "sample what the CPUs do, so often a second"},
    {"output, o", "file", "where the records go", "carrara.trace", 0, KIND_FILE}, END};
static const struct cmd_opt trace_flame_opts[] = {
    {"event, e", "name", "only call chains of this tracepoint", NULL}, END};

static const struct cmd_opt stop_opts[] = {{"force, f", NULL, "do not wait for the guest"}, END};
static const struct cmd_opt logs_opts[] = {
    {"follow, f", NULL, "go on until the instance ends"}, END};
static const struct cmd_opt volume_create_opts[] = {
    {"size, s", "value", "size of the disk (use M or G suffix)", "1G"},
    {"format, f", "value", "raw or qcow2", "raw"},
    END,
};

#define PULL_MISSING                                                           \
	{                                                                      \
		"pull-missing, p", NULL,                                       \
		    "attempt to pull packages missing from a local repository" \
	}
#define RUNCONFIG                                                          \
	{                                                                  \
		"runconfig, r, boot", "value",                             \
		    "specify config_set name (specified in meta/run.yaml)" \
	}
#define REQUIRE                                                                                  \
	{                                                                                        \
		"require", "value", "specify package dependency", NULL, OPT_REPEAT, KIND_PACKAGE \
	}

static const struct cmd_opt init_opts[] = {
    {"name, n", "value", "package name"},
    {"title, t", "value", "package title"},
    {"author, a", "value", "package author"},
    {"version, v", "value", "package version"},
    REQUIRE,
    {"runtime", "value", "runtime to stub package for. Use 'capstan runtime list' to list all",
	NULL, 0, KIND_RUNTIME},
    END,
};

static const struct cmd_opt collect_opts[] = {PULL_MISSING, RUNCONFIG, REQUIRE, END};

static const struct cmd_opt compose_opts[] = {
    {"size, s", "value", "total size of the target image (use M or G suffix)", "10G"},
    {"update", NULL, "updates the existing target VM by uploading only modified files"},
    {"verbose, v", NULL, "verbose mode"},
    {"run", "value", "the command line to be executed in the VM"},
    PULL_MISSING,
    RUNCONFIG,
    REQUIRE,
    {"env", "K=V", "environment variable for the boot command", NULL, OPT_REPEAT},
    {"fs", "value", "root file system: erofs", "erofs"},
    {"format, f", "value", "image format: qcow2|raw", "qcow2"},
    {"kernel", "file", "kernel to put into the image", NULL, 0, KIND_FILE},
    {"output, o", "file", "write the image to this file instead of the repository", NULL, 0,
	KIND_FILE},
    END,
};

static const struct cmd_opt made_opts[] = {
    {"name, n", "value", "name of the new package (default: from the first argument)"},
    {"title, t", "value", "title of the new package"},
    {"author, a", "value", "author of the new package"},
    {"version", "value", "version of the new package"},
    {"run", "command", "boot command of the new package"},
    {"file", "HOST:GUEST", "also put this file into the package", NULL, OPT_REPEAT, KIND_FILE},
    {"dir", "HOST:GUEST", "also put this directory into the package", NULL, OPT_REPEAT, KIND_DIR},
    {"link", "PATH:TARGET", "also put this symbolic link into the package", NULL, OPT_REPEAT},
    REQUIRE,
    {"output, o", "dir", "write NAME.mpm to this directory instead of importing it", NULL, 0,
	KIND_DIR},
    END,
};

static const struct cmd_opt test_opts[] = {PULL_MISSING, END};
static const struct cmd_opt names_opts[] = {
    {"names", NULL, "names only, one a line", NULL, OPT_HIDDEN}, END};
static const struct cmd_opt describe_opts[] = {
    {"content, c", NULL, "also list the package's files"}, END};

static const struct cmd_opt runtime_preview_opts[] = {
    {"runtime, r", "value", "Runtime name. Use 'capstan runtime list' to see available names.",
	NULL, 0, KIND_RUNTIME},
    {"plain", NULL, "Remove comments"},
    END,
};

static const struct cmd_opt runtime_init_opts[] = {
    {"runtime, r", "value", "Runtime name. Use 'capstan runtime list' to see available names.",
	NULL, 0, KIND_RUNTIME},
    {"named", NULL, "Use named configurations format"},
    {"plain", NULL, "Remove comments"},
    {"force, f", NULL, "Override existing meta/run.yaml"},
    END,
};

static const struct cmd_opt import_opts[] = {
    {"version, v", "value", "version of the image"},
    {"description, d", "value", "description of the image"},
    END,
};

const struct cmd_spec cmd_table[] = {
    {"config", "configuration of capstan itself"},
    {"config print", "print current capstan configuration", "[arguments...]", 0, 0,
	cmd_config_print},

    {"package", "package manipulation tools"},
    {"package init", "initialise package structure", "[path]", 0, 1, cmd_package_init, init_opts,
	NULL, 0, KIND_DIR},
    {"package validate", "check a package's manifest, commands, libraries and hooks", "[path]", 0,
	1, cmd_package_validate, NULL, NULL, 0, KIND_DIR},
    {"package build", "builds the package into a compressed file", "[path]", 0, 1,
	cmd_package_build, NULL,
	"Runs meta/hooks/build if there is one, then writes NAME.mpm beside the package's files.",
	0, KIND_DIR},
    {"package collect", "collects contents of this package and all required packages",
	"[arguments...]", 0, 0, cmd_package_collect, collect_opts,
	"The result in mpm-pkg/ is what goes into the image."},
    {"package compose", "composes the package and all its dependencies into Carrara image",
	"image-name", 0, 1, cmd_package_compose, compose_opts},
    {"package test", "composes the package and runs meta/hooks/test, or boots it", "[path]", 0, 1,
	cmd_package_test, test_opts, NULL, 0, KIND_DIR},
    {"package list", "lists the available packages", "[arguments...]", 0, 0, cmd_package_list,
	names_opts},
    {"package pull",
	"pulls the package from remote repository and imports it into local package storage",
	"[package-name]", 1, -1, cmd_package_pull},
    {"package search",
	"searches for packages in the remote repository (partial name matches are also supported)",
	"[package-name]", 0, 1, cmd_package_search},
    {"package update", "fetches newer versions of packages", "[package-name...]", 0, -1,
	cmd_package_update, NULL,
	"In a package's directory its requirements are chosen anew, the newest versions that fit "
	"together, and written to meta/lock.yaml, which binds compose and collect from then on. "
	"Elsewhere the packages of the local repository are brought up to date.",
	0, KIND_PACKAGE},
    {"package push", "uploads a package file to the remote repository", "package-file...", 1, -1,
	cmd_package_push, NULL,
	"The hub checks the package before it shows it to anybody. Its token is taken from "
	"hub_token "
	"in config.yaml or from $CAPSTAN_HUB_TOKEN.",
	0, KIND_FILE},
    {"package describe", "describes the package: commands, options, documentation", "package-name",
	1, 1, cmd_package_describe, describe_opts, NULL, 0, KIND_PACKAGE},
    {"package import",
	"builds the package at path, or takes a .mpm file, into the local repository", "[path]", 0,
	1, cmd_package_import, NULL, NULL, 0, KIND_FILE},
    {"package from-deb", "makes a package from Debian packages, installed or downloaded",
	"debian-package...", 1, -1, cmd_package_from_deb, made_opts,
	"The named packages come whole without their documentation, the libraries they need with "
	"them. What is not installed is downloaded with apt-get and not installed."},
    {"package from-host", "makes a package from programs of this host and what they need",
	"program[:/guest/path]...", 1, -1, cmd_package_from_host, made_opts, NULL, 0, KIND_FILE},
    {"package from-oci",
	"makes a package from an OCI image layout (a directory, as skopeo writes it)",
	"layout[:reference]", 1, 1, cmd_package_from_oci, made_opts, NULL, 0, KIND_DIR},
    {"package export-oci", "writes the package and all it requires as an OCI image layout",
	"new-directory", 1, 1, cmd_package_export_oci, collect_opts, NULL, 0, KIND_DIR},
    {"package remove", "removes a package from the local repository", "package-name", 1, 1,
	cmd_package_remove, NULL, NULL, 0, KIND_PACKAGE},

    {"runtime", "package runtime manipulation tools"},
    {"runtime list", "list available runtimes", "[arguments...]", 0, 0, cmd_runtime_list,
	names_opts},
    {"runtime preview", "prints runtime yaml template to the console", "[arguments...]", 0, 0,
	cmd_runtime_preview, runtime_preview_opts},
    {"runtime init", "prepares meta/run.yaml stub for selected runtime", "[arguments...]", 0, 0,
	cmd_runtime_init, runtime_init_opts},

    {"run", "launch a VM. You may pass the image name as the first argument.",
	"instance-name | --host program [arguments...]", 0, 1, cmd_run, run_opts,
	"The console of the machine is this terminal: every key, Ctrl-C included, goes to the "
	"guest. "
	"Ctrl-] followed by q stops the machine. The exit status is the program's; 128 plus the "
	"number of a signal that ended it; 70 when the kernel panicked. Options that the package "
	"of "
	"the image defines in meta/opts are options of this command, too.",
	CMD_STOP_AT_ARGS | CMD_UNKNOWN_OPTS, KIND_IMAGE},
    {"instances", "list instances", NULL, 0, 0, cmd_instances, names_opts},
    {"stop", "stop an instance", "instance-name...", 1, -1, cmd_stop, stop_opts,
	"The guest is asked to end first; after three seconds the machine is switched off.", 0,
	KIND_INSTANCE},
    {"delete", "delete an instance", "instance-name...", 1, -1, cmd_delete, NULL, NULL, 0,
	KIND_INSTANCE},
    {"logs", "print what an instance has printed", "instance-name", 1, 1, cmd_logs, logs_opts, NULL,
	0, KIND_INSTANCE},
    {"top", "the threads of guests by CPU time, again and again", "[guest...]", 0, -1, cmd_top, top_opts,
	"A guest is an instance started with `capstan run --watch`, or the URL of its monitoring "
	"service. Without one it is the only such instance, or port 8000 of this host.",
	0, KIND_INSTANCE},
    {"freq", "how often tracepoints of guests are hit", "tracepoint...", 1, -1, cmd_freq, freq_opts,
	"Patterns with * and ? are names of several tracepoints."},
    {"exec", "run a program in a guest and show its output", "program [arguments...]", 1, -1, cmd_exec,
	exec_opts, "The exit status is the program's; 128 plus the number of a signal that ended it.",
	CMD_STOP_ALWAYS},
    {"cp", "copy files to or from a guest", "file|guest:/path file|guest:/path", 2, 2, cmd_cp, cp_opts, NULL, 0,
	KIND_FILE},
    {"trace", "records of a guest's tracepoints"},
    {"trace record", "switch tracepoints on for a while and fetch what they recorded", "[pattern...]", 0, -1,
	cmd_trace_record, trace_record_opts},
    {"trace show", "print records as text", "[file]", 0, 1, cmd_trace_show, NULL, NULL, 0, KIND_FILE},
    {"trace flame", "print call chains folded, as flame graph programs read them", "[file]", 0, 1,
	cmd_trace_flame, trace_flame_opts, NULL, 0, KIND_FILE},
    {"trace chrome", "print records as JSON for chrome://tracing and Perfetto", "[file]", 0, 1,
	cmd_trace_chrome, NULL, NULL, 0, KIND_FILE},
    {"volume", "volume manipulation tools"},
    {"volume create", "create an empty disk", "volume-name", 1, 1, cmd_volume_create,
	volume_create_opts},
    {"volume delete", "delete a disk", "volume-name...", 1, -1, cmd_volume_delete, NULL, NULL, 0,
	KIND_VOLUME},
    {"volume list", "list disks", NULL, 0, 0, cmd_volume_list, names_opts},
    {"images", "list images", NULL, 0, 0, cmd_images, names_opts},
    {"info", "show disk image information", "image-name", 1, 1, cmd_info, NULL, NULL, 0,
	KIND_IMAGE},
    {"import", "import an image file to the local repository", "image-name image-file", 2, 2,
	cmd_import, import_opts, NULL, 0, KIND_FILE},
    {"export", "write an image for another hypervisor", "image-name file", 2, 2, cmd_export,
	export_opts, NULL, 0, KIND_IMAGE},
    {"rmi", "delete images", "image-name...", 1, -1, cmd_rmi, NULL, NULL, 0, KIND_IMAGE},

    {"pull", "pull an image from the remote repository", "[NAMESPACE/]image-name...", 1, -1,
	cmd_pull},
    {"push", "upload an image to the remote repository", "[NAMESPACE/]image-name...", 1, -1,
	cmd_push, NULL,
	"The hub checks the image before it shows it to anybody. Its token is taken from hub_token "
	"in config.yaml or from $CAPSTAN_HUB_TOKEN.",
	0, KIND_IMAGE},
    {"search", "search the remote repository for packages and images", "[name]", 0, 1, cmd_search},
    {"hub", "a repository of one's own"},
    {"hub serve", "serve a directory as a repository that others pull from and push to",
	"directory", 1, 1, cmd_hub_serve, hub_opts, NULL, 0, KIND_DIR},

    {"completion", "print shell completion for bash, zsh or fish", "shell", 1, 1,
	cmd_do_completion},
    {"man", "print the manual page, or write all pages to a directory", "[directory]", 0, 1,
	cmd_do_man, NULL, NULL, 0, KIND_DIR},
    {NULL},
};
