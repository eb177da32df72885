/* SPDX-License-Identifier: BSD-3-Clause */
/* System V shared memory, semaphores and message queues. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

static void test_shm(void)
{
	int key = 0x5000000 + getpid();
	int id = shmget(key, 10000, IPC_CREAT | IPC_EXCL | 0600);
	struct shmid_ds d;
	CHECK(id >= 0);
	CHECK(shmget(key, 100, 0600) == id);
	CHECK_ERR(shmget(key, 100, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	CHECK_ERR(shmget(key, 100000, 0600), EINVAL);
	CHECK_ERR(shmget(key + 1, 100, 0600), ENOENT);
	char *a = shmat(id, NULL, 0), *b = shmat(id, NULL, SHM_RDONLY);
	CHECK(a != (char *)-1 && b != (char *)-1 && a != b);
	strcpy(a + 9000, "shared");
	CHECK(!strcmp(b + 9000, "shared"));
	CHECK(shmctl(id, IPC_STAT, &d) == 0 && d.shm_nattch == 2 && d.shm_segsz == 10000 &&
	      d.shm_cpid == getpid());
	pid_t child = fork();
	if (!child) {
		strcpy(a, "child");
		_exit(0);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(!strcmp(b, "child"));
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
	CHECK_ERR(shmget(key, 100, 0600), ENOENT);
	CHECK(!strcmp(b, "child"));
	CHECK(shmdt(a) == 0 && shmdt(b) == 0);
	CHECK_ERR(shmdt(a), EINVAL);
	CHECK(shmat(id, NULL, 0) == (void *)-1);
}

static void *increment_later(void *arg)
{
	struct sembuf up = {1, 2, 0};
	usleep(20000);
	semop(*(int *)arg, &up, 1);
	return NULL;
}

static void test_sem(void)
{
	int id = semget(IPC_PRIVATE, 3, 0600);
	unsigned short all[3] = {1, 0, 5}, got[3];
	union semun u = {.array = all};
	struct semid_ds d;
	CHECK(id >= 0);
	CHECK(semctl(id, 0, SETALL, u) == 0);
	u.array = got;
	CHECK(semctl(id, 0, GETALL, u) == 0 && got[0] == 1 && got[2] == 5);
	struct sembuf down = {0, -1, IPC_NOWAIT};
	CHECK(semop(id, &down, 1) == 0);
	CHECK_ERR(semop(id, &down, 1), EAGAIN);
	CHECK(semctl(id, 0, GETVAL) == 0 && semctl(id, 0, GETPID) == getpid());
	/* All or nothing. */
	struct sembuf both[2] = {{2, -5, IPC_NOWAIT}, {0, -1, IPC_NOWAIT}};
	CHECK_ERR(semop(id, both, 2), EAGAIN);
	CHECK(semctl(id, 2, GETVAL) == 5);
	struct sembuf bad = {7, 1, 0};
	CHECK_ERR(semop(id, &bad, 1), EFBIG);
	pthread_t t;
	CHECK(pthread_create(&t, NULL, increment_later, &id) == 0);
	struct sembuf wait = {1, -2, 0};
	CHECK(semop(id, &wait, 1) == 0);
	pthread_join(t, NULL);
	struct timespec ts = {0, 10000000};
	CHECK_ERR(semtimedop(id, &wait, 1, &ts), EAGAIN);
	/* What a program that ends has not given back. */
	pid_t child = fork();
	if (!child) {
		struct sembuf take = {2, -3, SEM_UNDO};
		_exit(semop(id, &take, 1) != 0 || semctl(id, 2, GETVAL) != 2);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(semctl(id, 2, GETVAL) == 5);
	u.buf = &d;
	CHECK(semctl(id, 0, IPC_STAT, u) == 0 && d.sem_nsems == 3);
	u.val = 40000;
	CHECK_ERR(semctl(id, 0, SETVAL, u), ERANGE);
	CHECK(semctl(id, 0, IPC_RMID) == 0);
	CHECK(semop(id, &wait, 1) == -1 && (errno == EINVAL || errno == EIDRM));
}

static void test_msg(void)
{
	struct {
		long type;
		char text[32];
	} m = {3, "three"}, r;
	struct msqid_ds d;
	int id = msgget(IPC_PRIVATE, 0600);
	CHECK(id >= 0);
	CHECK(msgsnd(id, &m, 6, 0) == 0);
	m.type = 1;
	strcpy(m.text, "one");
	CHECK(msgsnd(id, &m, 4, 0) == 0);
	m.type = 0;
	CHECK_ERR(msgsnd(id, &m, 4, 0), EINVAL);
	CHECK(msgctl(id, IPC_STAT, &d) == 0 && d.msg_qnum == 2);
	CHECK_ERR(msgrcv(id, &r, 32, 7, IPC_NOWAIT), ENOMSG);
	CHECK_ERR(msgrcv(id, &r, 2, 3, IPC_NOWAIT), E2BIG);
	CHECK(msgrcv(id, &r, 32, -5, 0) == 4 && r.type == 1 && !strcmp(r.text, "one"));
	CHECK(msgrcv(id, &r, 2, 0, MSG_NOERROR) == 2 && r.type == 3);
	CHECK_ERR(msgrcv(id, &r, 32, 0, IPC_NOWAIT), ENOMSG);
	CHECK(msgctl(id, IPC_RMID, NULL) == 0);
	CHECK_ERR(msgsnd(id, &m, 4, 0), EINVAL);
}

int main(void)
{
	test_shm();
	test_sem();
	test_msg();
	return check_report();
}
