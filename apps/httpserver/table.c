/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of all calls. */
#include "calls.h"

#define PARAMS(...)                \
	(const struct api_param[]) \
	{                          \
		__VA_ARGS__,       \
		{                  \
			0          \
		}                  \
	}
#define REQUIRED true

static const char enabled_help[] = "on or off (default on)";
static const char backtrace_help[] = "also record the call chain";

const struct api_call api_calls[] = {
    {"POST", "/api/batch", call_batch,
	"Carry out several calls one after the other; each has a code and a body of its own",
	"array", PARAMS({"batch", "string", "JSON list of {method, path, parameters, body}"}),
	API_BODY},
    {"POST", "/api/stop", call_stop, "End this service; the machine goes on", "string", NULL, 0},

    {"PUT", "/app/", call_app_start, "Start a program; replies with its id", "integer",
	PARAMS({"command", "string", "program and arguments, with quotes where needed", REQUIRED},
	    {"new_program", "boolean", "taken for OSv's clients: every program is one of its own"},
	    {"cwd", "string", "directory to start it in"},
	    {"input", "boolean", "its standard input comes through /app/input"}),
	0},
    {"GET", "/app/", call_app_list, "The programs started here", "array", NULL, 0},
    {"GET", "/app/finished", call_app_finished, "Has a program ended?", "boolean",
	PARAMS({"tid", "integer", "what PUT /app/ replied", REQUIRED}), 0},
    {"GET", "/app/status", call_app_status, "A program's state, exit code and signal", "object",
	PARAMS({"tid", "integer", "what PUT /app/ replied", REQUIRED}), 0},
    {"GET", "/app/output", call_app_output, "What a program wrote, from a position on", "object",
	PARAMS({"tid", "integer", "what PUT /app/ replied", REQUIRED},
	    {"offset", "integer", "position in bytes (default 0)"},
	    {"raw", "boolean", "the bytes instead of JSON"}),
	0},
    {"POST", "/app/input", call_app_input, "Write the body to a program's standard input",
	"integer",
	PARAMS({"tid", "integer", "what PUT /app/ replied", REQUIRED},
	    {"end", "boolean", "close it afterwards"}),
	API_BODY},
    {"DELETE", "/app/{tid}", call_app_kill, "Send a signal to a program", "string",
	PARAMS({"signal", "integer", "number of the signal (default 15)"}), 0},

    {"GET", "/env/", call_env_list, "The environment", "array", NULL, 0},
    {"GET", "/env/{name}", call_env_get, "A variable's value", "string", NULL, 0},
    {"POST", "/env/{name}", call_env_set, "Set a variable for programs started from now on",
	"string", PARAMS({"val", "string", "value", REQUIRED}), 0},
    {"DELETE", "/env/{name}", call_env_delete, "Remove a variable", "string", NULL, 0},

    {"GET", "/file/{path...}", call_file_get, "A file, or what is known about it", TYPE_BINARY,
	PARAMS({"op", "string", "what to get (default GET: the contents)", false,
		   "GET|OPEN|LISTSTATUS|GETFILESTATUS|GETCONTENTSUMMARY|GETFILECHECKSUM"},
	    {"offset", "integer", "first byte of the contents"},
	    {"length", "integer", "bytes of the contents"}),
	0},
    {"PUT", "/file/{path...}", call_file_put,
	"Make a directory or a file, rename, copy, change permissions", "object",
	PARAMS(
	    {"op", "string", "what to do (default CREATE: write content or the body to the file)",
		false, "MKDIRS|RENAME|COPY|SETPERMISSION|CREATE"},
	    {"destination", "string", "path to rename or copy to"},
	    {"permission", "string", "octal permissions"},
	    {"createParent", "boolean", "make missing directories (default on for MKDIRS)"},
	    {"overwrite", "boolean", "replace what is there (default on for CREATE)"},
	    {"content", "string", "contents of the file"}),
	API_UPLOAD},
    {"POST", "/file/{path...}", call_file_post,
	"Upload a file (multipart/form-data, or the raw body)", "object",
	PARAMS({"permission", "string", "octal permissions"},
	    {"createParent", "boolean", "make missing directories"},
	    {"overwrite", "boolean", "replace what is there (default on)"}),
	API_UPLOAD},
    {"DELETE", "/file/{path...}", call_file_delete, "Remove a file or directory", "object",
	PARAMS({"op", "string", "DELETE, as WebHDFS has it", false, "DELETE"},
	    {"recursive", "boolean", "with what is in it"}),
	API_SLOW},

    {"GET", "/fs/df/", call_df, "Size and free space of the mounted file systems", "array", NULL,
	0},
    {"GET", "/fs/df/{mount...}", call_df_one, "The same of one", "array", NULL, 0},

    {"GET", "/hardware/processor/flags", call_cpu_flags, "The processors' features", "string", NULL,
	0},
    {"GET", "/hardware/processor/count", call_cpu_count, "How many processors there are", "integer",
	NULL, 0},
    {"GET", "/hardware/firmware/vendor", call_firmware, "Who made the firmware", "string", NULL, 0},
    {"GET", "/hardware/hypervisor", call_hypervisor, "What the machine runs on", "string", NULL, 0},

    {"GET", "/network/ifconfig/", call_ifconfig, "The network interfaces with their counters",
	"array", NULL, 0},
    {"GET", "/network/ifconfig/{name}", call_ifconfig_one, "One of them", "object", NULL, 0},
    {"GET", "/network/route/", call_route, "The routes", "array", NULL, 0},

    {"GET", "/os/name", call_os_name, "The system's name", "string", NULL, 0},
    {"GET", "/os/version", call_os_version, "Its version", "string", NULL, 0},
    {"GET", "/os/vendor", call_os_vendor, "Who makes it", "string", NULL, 0},
    {"GET", "/os/uptime", call_os_uptime, "Seconds since the start", "integer", NULL, 0},
    {"GET", "/os/date", call_os_date, "Date and time", "string", NULL, 0},
    {"GET", "/os/dmesg", call_os_dmesg, "The kernel's log", "string", NULL, 0},
    {"GET", "/os/console", call_os_console, "What the console showed, from a position on", "object",
	PARAMS({"offset", "integer", "position in bytes (default: the oldest kept)"}), 0},
    {"GET", "/os/hostname", call_os_hostname, "The host's name", "string", NULL, 0},
    {"POST", "/os/hostname", call_os_hostname_set, "Set the host's name", "string",
	PARAMS({"name", "string", "the name", REQUIRED}), 0},
    {"GET", "/os/cmdline", call_os_cmdline, "The boot command line", "string", NULL, 0},
    {"POST", "/os/cmdline", call_os_cmdline_set, "Store another boot command line in the image",
	"string", PARAMS({"cmdline", "string", "the command line", REQUIRED}), 0},
    {"GET", "/os/memory/total", call_os_memory_total, "Bytes of memory", "integer", NULL, 0},
    {"GET", "/os/memory/free", call_os_memory_free, "Bytes of it that are free", "integer", NULL,
	0},
    {"GET", "/os/memory/balloon", call_os_memory_balloon, "Bytes given to the host", "integer",
	NULL, 0},
    {"GET", "/os/threads", call_os_threads, "All threads with their CPU time and switches",
	"object", NULL, 0},
    {"POST", "/os/poweroff", call_os_poweroff, "Switch the machine off", "string", NULL, 0},
    {"POST", "/os/shutdown", call_os_shutdown, "Ask programs to end, then switch the machine off",
	"string", NULL, 0},
    {"POST", "/os/reboot", call_os_reboot, "Start the machine again", "string", NULL, 0},

    {"GET", "/trace/status", call_trace_status, "Which tracepoints record", "array",
	PARAMS({"match", "string", "only those: a pattern with * and ?"}), 0},
    {"POST", "/trace/status", call_trace_status_set, "Switch recording of tracepoints by pattern",
	"array",
	PARAMS({"match", "string", "which: a pattern with * and ?", REQUIRED},
	    {"enabled", "boolean", enabled_help}, {"backtrace", "boolean", backtrace_help}),
	0},
    {"GET", "/trace/event/{id}", call_trace_event, "One tracepoint", "object", NULL, 0},
    {"POST", "/trace/event/{id}", call_trace_event_set, "Switch its recording", "object",
	PARAMS({"enabled", "boolean", enabled_help}, {"backtrace", "boolean", backtrace_help}), 0},
    {"GET", "/trace/count", call_trace_count, "Hits of the tracepoints that are counted", "object",
	NULL, 0},
    {"DELETE", "/trace/count", call_trace_count_clear, "Count none any more", "object", NULL, 0},
    {"POST", "/trace/count/{id}", call_trace_count_set, "Switch counting of a tracepoint", "object",
	PARAMS({"enabled", "boolean", enabled_help}), 0},
    {"GET", "/trace/sampler", call_trace_sampler, "Samples a second", "object", NULL, 0},
    {"POST", "/trace/sampler", call_trace_sampler_set, "Sample what the CPUs do", "object",
	PARAMS({"freq", "integer", "samples a second on each CPU, 0 for none", REQUIRED}), 0},
    {"GET", "/trace/buffers", call_trace_buffers,
	"What was recorded, as include/carrara/trace.h describes it", TYPE_BINARY, NULL, 0},
    {"GET", "/trace/log", call_trace_log, "What was recorded, as text", TYPE_TEXT, NULL, 0},
    {"DELETE", "/trace/buffers", call_trace_buffers_clear, "Forget what was recorded", "string",
	NULL, 0},

    {"GET", "/metrics", call_metrics, "All numbers in Prometheus' text format", TYPE_TEXT, NULL, 0},
    {"GET", "/openapi.json", call_openapi, "This table as an OpenAPI document", "object", NULL, 0},
};

const unsigned api_ncalls = sizeof api_calls / sizeof api_calls[0];
