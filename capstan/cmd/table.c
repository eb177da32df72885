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
    END,
};

static const struct cmd_opt completion_opts[] = {END};

const struct cmd_spec cmd_table[] = {
    {"run", "launch a VM. You may pass the image name as the first argument.",
	"instance-name | --host program [arguments...]", 0, 1, cmd_run, run_opts,
	"The console of the machine is this terminal: every key, Ctrl-C included, goes to the "
	"guest. "
	"Ctrl-] followed by q stops the machine. The exit status is the program's; 128 plus the "
	"number of a signal that ended it; 70 when the kernel panicked.",
	CMD_STOP_AT_ARGS, KIND_IMAGE},
    {"completion", "print shell completion for bash, zsh or fish", "shell", 1, 1, cmd_do_completion,
	completion_opts},
    {"man", "print or install the manual pages", "[directory]", 0, 1, cmd_do_man, NULL, NULL, 0,
	KIND_DIR},
    {NULL},
};
