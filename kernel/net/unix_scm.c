/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptors and credentials that travel with AF_UNIX messages. */
#include <asm/errno.h>
#include <linux/capability.h>
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "net/unix.h"
#include "proc/program.h"

void unix_own_cred(struct ucred *c)
{
	struct program *p = current_program();
	*c = p ? (struct ucred){p->pid, p->cred.euid, p->cred.egid} : (struct ucred){0};
}

void unix_packet_free(struct unix_packet *p)
{
	for (unsigned i = 0; i < p->nfiles; i++)
		file_put(p->files[i]);
	kfree(p->files);
	if (p->from)
		unix_address_put(p->from);
	kfree(p);
}

static int take_files(struct unix_packet *p, const int *fds, unsigned n)
{
	if (p->nfiles + n > SCM_MAX_FD)
		return -EINVAL;
	struct file **files = krealloc(p->files, (p->nfiles + n) * sizeof *files);
	if (!files)
		return -ENOMEM;
	p->files = files;
	for (unsigned i = 0; i < n; i++) {
		int fd;
		memcpy(&fd, fds + i, sizeof fd);
		struct file *f = fd_get(fd);
		if (is_err(f))
			return ptr_err(f);
		p->files[p->nfiles++] = f;
	}
	return 0;
}

/* One may claim another identity only with the capability for it, or an id one has anyway. */
static int check_cred(const struct ucred *c)
{
	const struct program *p = current_program();
	const struct credentials *own = &p->cred;
	if (c->pid != p->pid && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	bool uid = c->uid == own->uid || c->uid == own->euid || c->uid == own->suid;
	bool gid = c->gid == own->gid || c->gid == own->egid || c->gid == own->sgid;
	if (!(uid || capable(CAP_SETUID)) || !(gid || capable(CAP_SETGID)))
		return -EPERM;
	return 0;
}

int unix_read_control(const struct message *m, struct unix_packet *p)
{
	unix_own_cred(&p->cred);
	const struct cmsg_header *c = NULL;
	while ((c = message_next_control(m, c))) {
		size_t n = c->len - sizeof *c;
		if (c->level != SOL_SOCKET)
			continue;
		int err = -EINVAL;
		if (c->type == SCM_RIGHTS) {
			err = n % sizeof(int) ? -EINVAL
					      : take_files(p, control_data(c), n / sizeof(int));
		} else if (c->type == SCM_CREDENTIALS && n == sizeof(struct ucred)) {
			struct ucred cred;
			memcpy(&cred, control_data(c), sizeof cred);
			err = check_cred(&cred);
			p->cred = cred;
		}
		if (err)
			return err;
	}
	return 0;
}

static void deliver_files(struct message *m, struct unix_packet *p, bool peek)
{
	int fds[SCM_MAX_FD];
	unsigned n = 0, fit = 0;
	if (m->control_room > sizeof(struct cmsg_header))
		fit = MIN((unsigned)((m->control_room - sizeof(struct cmsg_header)) / sizeof(int)),
		    p->nfiles);
	for (; n < fit; n++) {
		file_get(p->files[n]);
		fds[n] = fd_install(p->files[n], 0, m->flags & MSG_CMSG_CLOEXEC);
		if (fds[n] < 0) {
			file_put(p->files[n]);
			break;
		}
	}
	if (n < p->nfiles)
		m->out_flags |= MSG_CTRUNC;
	if (n)
		message_put_control(m, SOL_SOCKET, SCM_RIGHTS, fds, n * sizeof(int));
	if (peek)
		return;
	for (unsigned i = 0; i < p->nfiles; i++)
		file_put(p->files[i]);
	p->nfiles = 0;
}

void unix_deliver_control(struct unix_sock *u, struct message *m, struct unix_packet *p, bool peek)
{
	if (u->socket && u->socket->pass_credentials)
		message_put_control(m, SOL_SOCKET, SCM_CREDENTIALS, &p->cred, sizeof p->cred);
	if (p->nfiles)
		deliver_files(m, p, peek);
}
