# SPDX-License-Identifier: BSD-3-Clause
"""Tracepoints in a running machine: switched by the program through /sys/kernel/tracing, and by the boot option."""
import re

import pytest

import guest

# Events of the report's list that a kernel like ours has in any case: a sample of every subsystem.
NAMES = """sched_switch sched_wake sched_wait sched_migrate sched_preempt sched_queue sched_load sched_ipi
sched_idle sched_idle_ret mutex_lock mutex_lock_wait mutex_lock_wake mutex_try_lock mutex_unlock
sched_yield epoll_ready clear_pte remove_mapping app_destroy waitqueue_wait waitqueue_wake_one waitqueue_wake_all thread_create timer_set timer_reset timer_cancel timer_fired
async_worker_started async_worker_fire async_worker_fire_ret pcpu_worker_item_invoke pcpu_worker_item_wait
memory_malloc memory_malloc_large memory_malloc_mempool memory_malloc_page memory_free memory_realloc
memory_mmap memory_mmap_ret memory_mmap_err memory_munmap memory_page_alloc memory_page_free memory_reclaim
memory_wait memory_huge_failure mmu_vm_fault mmu_vm_fault_ret mmu_vm_fault_sigsegv pool_alloc pool_free
drop_read_cached_page drop_write_cached_page access_scanner vfs_open vfs_open_ret vfs_open_err vfs_close vfs_pread
vfs_pwrite vfs_pwritev vfs_lseek vfs_fsync vfs_readdir vfs_mkdir vfs_rename vfs_unlink vfs_stat vfs_lstat vfs_fstat
vfs_statfs vfs_dup vfs_dup3 vfs_fcntl vfs_ioctl vfs_access vfs_truncate vfs_ftruncate vfs_fallocate vfs_utimensat
vfs_chmod vfs_fchmod vfs_fchown vfs_getcwd vfs_chdir vfs_fchdir vfs_link vfs_symlink vfs_mknod vfs_rmdir
epoll_create epoll_ctl epoll_wait poll poll_ret poll_err poll_wake elf_load app_main app_main_ret app_join
net_packet_in net_packet_out net_packet_handling tcp_state tcp_output virtio_add_buf virtio_enable_interrupts
virtio_disable_interrupts virtio_kicked_event_idx virtio_net_rx_packet virtio_net_tx_packet virtio_net_fill_rx_ring
virtio_net_tx_packet_size virtio_wait_for_queue vring_get_buf_elem vring_get_buf_ret vring_update_used_event
virtio_blk_strategy virtio_blk_req_ok virtio_blk_req_err virtio_blk_wake msix_interrupt sampler_tick""".split()


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    where = guest.BUILD / "tests" / "guest"
    return guest.make_image(tmp_path_factory.mktemp("tracing"), {
        "/bin/trace_files": where / "tracing" / "trace_files", "/bin/ends": where / "ends" / "ends"})


@pytest.mark.parametrize("cpus", [1, 2])
def test_files(image, cpus):
    r = guest.boot(image, "/bin/trace_files", cpus=cpus, timeout=120)
    assert r.status == 0 and re.search(r"^\d+ passed, 0 failed$", r.output, re.M), r.output[-3000:]


def test_names():
    """The names are in the kernel that was built."""
    strings = guest.KERNEL.read_bytes()
    assert [name for name in NAMES if name.encode() + b"\0" not in strings] == []


def test_boot_option(image):
    r = guest.boot(image, "--loglevel=5 --trace=app_main* /bin/ends return")
    assert r.status == 5 and re.search(r"trace: app_main_ret pid=2 code=0x500", r.output), r.output


def test_boot_option_modes(image):
    r = guest.boot(image, "--loglevel=5 --trace=app_main_ret,print --trace=vfs_*,count /bin/ends return")
    assert r.status == 5 and "app_main_ret" in r.output and "vfs_" not in r.output, r.output


def test_boot_option_wrong(image):
    r = guest.boot(image, "--loglevel=5 --trace=sched_*,loudly --trace=nothing_* /bin/ends return")
    assert r.status == 5, r.output
    assert "modes are count, record, print and backtrace" in r.output, r.output
    assert "--trace=nothing_* matches no tracepoint" in r.output, r.output
