/* SPDX-License-Identifier: BSD-3-Clause */
/* Signal numbers as text, for --strace, crash reports and the exit report. */
#include "proc/signal_names.h"

#include "lib/util.h"

static const struct {
	const char *name, *description;
} signals[] = {
    {"0", "no signal"},
    {"SIGHUP", "Hangup"},
    {"SIGINT", "Interrupt"},
    {"SIGQUIT", "Quit"},
    {"SIGILL", "Illegal instruction"},
    {"SIGTRAP", "Trace/breakpoint trap"},
    {"SIGABRT", "Aborted"},
    {"SIGBUS", "Bus error"},
    {"SIGFPE", "Floating point exception"},
    {"SIGKILL", "Killed"},
    {"SIGUSR1", "User defined signal 1"},
    {"SIGSEGV", "Segmentation fault"},
    {"SIGUSR2", "User defined signal 2"},
    {"SIGPIPE", "Broken pipe"},
    {"SIGALRM", "Alarm clock"},
    {"SIGTERM", "Terminated"},
    {"SIGSTKFLT", "Stack fault"},
    {"SIGCHLD", "Child exited"},
    {"SIGCONT", "Continued"},
    {"SIGSTOP", "Stopped (signal)"},
    {"SIGTSTP", "Stopped"},
    {"SIGTTIN", "Stopped (tty input)"},
    {"SIGTTOU", "Stopped (tty output)"},
    {"SIGURG", "Urgent I/O condition"},
    {"SIGXCPU", "CPU time limit exceeded"},
    {"SIGXFSZ", "File size limit exceeded"},
    {"SIGVTALRM", "Virtual timer expired"},
    {"SIGPROF", "Profiling timer expired"},
    {"SIGWINCH", "Window changed"},
    {"SIGIO", "I/O possible"},
    {"SIGPWR", "Power failure"},
    {"SIGSYS", "Bad system call"},
};

static const char *const realtime[] = {"SIGRT_0", "SIGRT_1", "SIGRT_2", "SIGRT_3", "SIGRT_4",
    "SIGRT_5", "SIGRT_6", "SIGRT_7", "SIGRT_8", "SIGRT_9", "SIGRT_10", "SIGRT_11", "SIGRT_12",
    "SIGRT_13", "SIGRT_14", "SIGRT_15", "SIGRT_16", "SIGRT_17", "SIGRT_18", "SIGRT_19", "SIGRT_20",
    "SIGRT_21", "SIGRT_22", "SIGRT_23", "SIGRT_24", "SIGRT_25", "SIGRT_26", "SIGRT_27", "SIGRT_28",
    "SIGRT_29", "SIGRT_30", "SIGRT_31", "SIGRT_32"};

const char *signal_name(int sig)
{
	if (sig >= 0 && sig < (int)ARRAY_SIZE(signals))
		return signals[sig].name;
	if (sig >= 32 && sig <= 64)
		return realtime[sig - 32];
	return "signal ?";
}

const char *signal_description(int sig)
{
	if (sig >= 0 && sig < (int)ARRAY_SIZE(signals))
		return signals[sig].description;
	return sig >= 32 && sig <= 64 ? "Real-time signal" : "Unknown signal";
}
