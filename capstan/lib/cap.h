/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The capstan library: its context and its event stream. The library never prints; it reports what
 * it does as events, and the command line, `--json` and other front ends decide how they look.
 *
 * Errors: a function that can fail returns 0 or a negative errno value after it has reported one
 * CAP_EV_ERROR event with a message for people (cap_fail does both). Callers only add context when
 * they know something the message lacks. -EINVAL means that the request was wrong (exit status 64),
 * -EBADMSG that the data was (exit status 65).
 */
#ifndef CAPSTAN_CAP_H
#define CAPSTAN_CAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cap_event_type {
	CAP_EV_ERROR,	 /* the operation failed; message says why */
	CAP_EV_WARNING,	 /* something is odd, the operation goes on */
	CAP_EV_INFO,	 /* a step the user asked for */
	CAP_EV_DETAIL,	 /* shown with -v only */
	CAP_EV_PROGRESS, /* done of total units of task are finished */
};

struct cap_event {
	enum cap_event_type type;
	const char *message; /* not for CAP_EV_PROGRESS */
	const char *task;    /* CAP_EV_PROGRESS only */
	uint64_t done, total;
};

typedef void cap_event_fn(void *arg, const struct cap_event *event);

/* One configuration value with the place it came from, for `config print`. */
struct cap_setting {
	char *value;
	const char *origin;
};

/* Everything an operation needs to know about its surroundings. One thread at a time. */
struct cap {
	char *root;		      /* absolute path of the capstan root directory */
	struct cap_setting repo_url;  /* of the remote repository, without a trailing slash */
	struct cap_setting kvm;	      /* "true" or "false": whether KVM may be used */
	struct cap_setting aio;	      /* QEMU's aio= value */
	struct cap_setting hub_token; /* for pushing; value may be NULL */
	struct cap_setting hub_key;   /* trusted Ed25519 public key of the hub, hex; may be NULL */
	cap_event_fn *on_event;
	void *event_arg;
	char *last_error;  /* message of the latest CAP_EV_ERROR event, or NULL */
	bool quiet_errors; /* record errors without reporting them (a caller has a fallback) */
};

/*
 * Sets up a context. root may be NULL: $CAPSTAN_ROOT, else ~/.capstan. repo_url may be NULL: the
 * configuration file, else $CAPSTAN_REPO_URL, else the default. on_event may be NULL.
 */
int cap_open(
    struct cap *c, const char *root, const char *repo_url, cap_event_fn *on_event, void *event_arg);
void cap_close(struct cap *c);

/* Reports an error event and returns -err. err is a positive errno value. */
int cap_fail(struct cap *c, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Like cap_fail with err = errno, and the error's own text appended. */
int cap_fail_errno(struct cap *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cap_warn(struct cap *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cap_info(struct cap *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cap_detail(struct cap *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cap_progress(struct cap *c, const char *task, uint64_t done, uint64_t total);

/* Exit status for a result of the library: 0, 64 (usage), 65 (data) or 1. */
int cap_exit_status(int result);

#endif
