/* SPDX-License-Identifier: BSD-3-Clause */
/* The functions behind the commands of the table. */
#ifndef CAPSTAN_COMMANDS_H
#define CAPSTAN_COMMANDS_H

#include "cmd.h"

cmd_fn cmd_config_print;
cmd_fn cmd_package_init, cmd_package_validate, cmd_package_build, cmd_package_collect,
    cmd_package_compose, cmd_package_list, cmd_package_pull, cmd_package_describe,
    cmd_package_import, cmd_package_remove, cmd_package_test, cmd_package_update;
cmd_fn cmd_package_from_oci, cmd_package_export_oci;
cmd_fn cmd_package_from_deb, cmd_package_from_host;
cmd_fn cmd_package_search, cmd_package_push, cmd_pull, cmd_push, cmd_search, cmd_hub_serve;
cmd_fn cmd_runtime_list, cmd_runtime_preview, cmd_runtime_init;
cmd_fn cmd_run, cmd_images, cmd_rmi, cmd_info, cmd_import, cmd_export;
cmd_fn cmd_instances, cmd_stop, cmd_delete, cmd_logs;
cmd_fn cmd_volume_create, cmd_volume_delete, cmd_volume_list;
cmd_fn cmd_top, cmd_freq, cmd_exec, cmd_cp;
cmd_fn cmd_trace_record, cmd_trace_show, cmd_trace_flame, cmd_trace_chrome;
cmd_fn cmd_do_completion, cmd_do_man;

#endif
