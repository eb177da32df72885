/* SPDX-License-Identifier: BSD-3-Clause */
/* The functions behind the table of calls, by area. */
#ifndef HTTPSERVER_CALLS_H
#define HTTPSERVER_CALLS_H

#include "api.h"

#define CALL(name) void name(struct api_request *q, struct api_reply *r)

/* api.c's own: batch.c, openapi.c */
CALL(call_batch);
CALL(call_stop);
CALL(call_openapi);
/* app.c */
CALL(call_app_start);
CALL(call_app_finished);
CALL(call_app_list);
CALL(call_app_status);
CALL(call_app_output);
CALL(call_app_input);
CALL(call_app_kill);
/* env.c */
CALL(call_env_list);
CALL(call_env_get);
CALL(call_env_set);
CALL(call_env_delete);
/* files.c, files_change.c */
CALL(call_file_get);
CALL(call_file_put);
CALL(call_file_post);
CALL(call_file_delete);
/* machine.c */
CALL(call_df);
CALL(call_df_one);
CALL(call_cpu_flags);
CALL(call_cpu_count);
CALL(call_firmware);
CALL(call_hypervisor);
/* network.c */
CALL(call_ifconfig);
CALL(call_ifconfig_one);
CALL(call_route);
/* os.c */
CALL(call_os_name);
CALL(call_os_version);
CALL(call_os_vendor);
CALL(call_os_uptime);
CALL(call_os_date);
CALL(call_os_dmesg);
CALL(call_os_console);
CALL(call_os_hostname);
CALL(call_os_hostname_set);
CALL(call_os_cmdline);
CALL(call_os_cmdline_set);
CALL(call_os_memory_total);
CALL(call_os_memory_free);
CALL(call_os_memory_balloon);
CALL(call_os_poweroff);
CALL(call_os_shutdown);
CALL(call_os_reboot);
/* threads.c */
CALL(call_os_threads);
/* trace.c */
CALL(call_trace_status);
CALL(call_trace_status_set);
CALL(call_trace_event);
CALL(call_trace_event_set);
CALL(call_trace_count);
CALL(call_trace_count_clear);
CALL(call_trace_count_set);
CALL(call_trace_sampler);
CALL(call_trace_sampler_set);
CALL(call_trace_buffers);
CALL(call_trace_buffers_clear);
CALL(call_trace_log);
/* metrics.c */
CALL(call_metrics);

#undef CALL

/* Ends the service; the machine goes on. Set by server.c. */
extern void (*service_stop)(void);

#endif
