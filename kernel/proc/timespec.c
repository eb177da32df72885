/* SPDX-License-Identifier: BSD-3-Clause */
/* struct timespec and struct timeval of the application, as nanoseconds. */
#include "proc/timespec.h"

#include <asm/errno.h>

#include "mm/uaccess.h"
#include "sched/timer.h"

struct pair {
	int64_t sec, fraction;
};

static int read_pair(const void __user *p, int64_t per_second, int64_t *ns)
{
	struct pair t;
	if (copy_from_user(&t, p, sizeof t))
		return -EFAULT;
	if (t.sec < 0 || t.fraction < 0 || t.fraction >= per_second)
		return -EINVAL;
	int64_t fraction = t.fraction * (NSEC_PER_SEC / per_second);
	*ns = t.sec > (INT64_MAX - fraction) / NSEC_PER_SEC ? INT64_MAX
							    : t.sec * NSEC_PER_SEC + fraction;
	return 0;
}

static int write_pair(void __user *p, int64_t ns, int64_t unit)
{
	struct pair t = {ns / NSEC_PER_SEC, ns % NSEC_PER_SEC / unit};
	if (t.fraction < 0) { /* times before the epoch */
		t.sec--;
		t.fraction += NSEC_PER_SEC / unit;
	}
	return copy_to_user(p, &t, sizeof t);
}

int timespec_read(const void __user *ts, int64_t *ns)
{
	return read_pair(ts, NSEC_PER_SEC, ns);
}

int timeval_read(const void __user *tv, int64_t *ns)
{
	return read_pair(tv, 1000000, ns);
}

int timespec_write(void __user *ts, int64_t ns)
{
	return write_pair(ts, ns, 1);
}

int timeval_write(void __user *tv, int64_t ns)
{
	return write_pair(tv, ns, 1000);
}

int timespec_deadline(const void __user *ts, int64_t *deadline)
{
	int64_t ns;
	int err = timespec_read(ts, &ns);
	if (!err)
		*deadline = time_add(time_now(), ns);
	return err;
}
