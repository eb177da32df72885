! SPDX-License-Identifier: BSD-3-Clause
! OpenMP: loops with reductions, nested work shares, tasks, critical sections, locks and array arithmetic.
program openmp
  use omp_lib
  implicit none
  integer, parameter :: n = 120
  real(8) :: a(n, n), b(n, n), c(n, n), total
  integer :: i, j, k, count, threads, seen(64)
  integer(kind=omp_lock_kind) :: lock

  threads = 0
  seen = 0
  !$omp parallel num_threads(6)
  !$omp atomic
  threads = threads + 1
  seen(omp_get_thread_num() + 1) = 1
  !$omp end parallel
  print '(a, i0, 1x, i0)', 'threads ', threads, sum(seen)

  do j = 1, n
    do i = 1, n
      a(i, j) = mod(i * j, 7)
      b(i, j) = mod(i + j, 5)
    end do
  end do
  !$omp parallel do private(i, k) schedule(dynamic, 3)
  do j = 1, n
    do i = 1, n
      c(i, j) = 0
      do k = 1, n
        c(i, j) = c(i, j) + a(i, k) * b(k, j)
      end do
    end do
  end do
  !$omp end parallel do
  print '(a, f0.1, 1x, l1)', 'product ', sum(c), all(abs(c - matmul(a, b)) < 1d-9)

  total = 0
  !$omp parallel do reduction(+:total)
  do i = 1, 100000
    total = total + 1d0 / (real(i, 8) * i)
  end do
  print '(a, f0.6)', 'sum ', total

  count = 0
  call omp_init_lock(lock)
  !$omp parallel num_threads(4) private(i)
  do i = 1, 500
    if (mod(i, 2) == 0) then
      !$omp critical
      count = count + 1
      !$omp end critical
    else
      !$omp atomic
      count = count + 0
      call omp_set_lock(lock)
      call omp_unset_lock(lock)
    end if
  end do
  !$omp barrier
  !$omp end parallel
  print '(a, i0)', 'critical ', count

  !$omp parallel
  !$omp single
  k = fib(15)
  !$omp end single
  !$omp end parallel
  print '(a, i0)', 'tasks ', k
  stop 12
contains
  recursive function fib(m) result(r)
    integer, intent(in) :: m
    integer :: r, x, y
    if (m < 2) then
      r = m
      return
    end if
    !$omp task shared(x) if (m > 10)
    x = fib(m - 1)
    !$omp end task
    !$omp task shared(y) if (m > 10)
    y = fib(m - 2)
    !$omp end task
    !$omp taskwait
    r = x + y
  end function
end program
