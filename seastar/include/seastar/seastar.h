/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Everything of the framework's core in one include.
 */
#ifndef SEASTAR_SEASTAR_H
#define SEASTAR_SEASTAR_H

#include <seastar/abort.h>
#include <seastar/app.h>
#include <seastar/fiber.h>
#include <seastar/file.h>
#include <seastar/future.h>
#include <seastar/log.h>
#include <seastar/lsa.h>
#include <seastar/loop.h>
#include <seastar/mem.h>
#include <seastar/net.h>
#include <seastar/queue.h>
#include <seastar/sched.h>
#include <seastar/smp.h>
#include <seastar/stream.h>
#include <seastar/sync.h>
#include <seastar/timer.h>

#endif
