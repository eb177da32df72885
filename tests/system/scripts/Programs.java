// SPDX-License-Identifier: BSD-3-Clause
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;

/** Threads, garbage under pressure, compiled code, exceptions by null: the last line is printed when all is right. */
public class Programs {
	static int size(String s) {
		return s.length(); // compiled without a check: null is caught by SIGSEGV
	}

	static void check(boolean ok, String what) {
		if (!ok)
			throw new AssertionError(what);
		System.out.println(what);
	}

	static void nulls() {
		int caught = 0, sum = 0;
		for (int i = 0; i < 30000; i++) {
			try {
				sum += size(i > 20000 && i % 100 == 0 ? null : "four");
			} catch (NullPointerException e) {
				caught++;
			}
		}
		check(caught == 99 && sum == 4 * (30000 - 99), "exceptions by null");
	}

	static int depth(int n) {
		return depth(n + 1) + 1;
	}

	static void stack() {
		boolean caught = false;
		try {
			depth(0);
		} catch (StackOverflowError e) {
			caught = true;
		}
		check(caught, "stack overflow");
	}

	static void threads() throws Exception {
		ExecutorService pool = Executors.newFixedThreadPool(8);
		LongAdder adder = new LongAdder();
		ConcurrentHashMap<Integer, AtomicInteger> map = new ConcurrentHashMap<>();
		List<Future<Long>> results = new ArrayList<>();
		Object lock = new Object();
		long[] guarded = {0};
		for (int t = 0; t < 40; t++) {
			final int id = t;
			results.add(pool.submit(() -> {
				long sum = 0;
				for (int i = 0; i < 500; i++) {
					adder.increment();
					map.computeIfAbsent(i % 50, k -> new AtomicInteger()).incrementAndGet();
					synchronized (lock) {
						guarded[0]++;
					}
					sum += i * id;
				}
				return sum;
			}));
		}
		long total = 0;
		for (Future<Long> f : results)
			total += f.get();
		pool.shutdown();
		check(pool.awaitTermination(60, TimeUnit.SECONDS) && adder.sum() == 20000 && guarded[0] == 20000 &&
			map.values().stream().allMatch(v -> v.get() == 400) && total == 124750L * 780, "threads");
		SynchronousQueue<Integer> hand = new SynchronousQueue<>();
		Thread giver = new Thread(() -> {
			try {
				for (int i = 0; i < 200; i++)
					hand.put(i);
			} catch (InterruptedException e) {
				return;
			}
		});
		giver.start();
		int got = 0;
		for (int i = 0; i < 200; i++)
			got += hand.take();
		giver.join();
		check(got == 199 * 100, "hand over");
		Thread sleeper = new Thread(() -> {
			try {
				Thread.sleep(600000);
			} catch (InterruptedException e) {
				adder.increment();
			}
		});
		sleeper.start();
		sleeper.interrupt();
		sleeper.join(60000);
		check(adder.sum() == 20001, "interrupt");
	}

	static void garbage() {
		Map<Integer, byte[]> kept = new LinkedHashMap<>() {
			protected boolean removeEldestEntry(Map.Entry<Integer, byte[]> e) {
				return size() > 100;
			}
		};
		long sum = 0;
		for (int i = 0; i < 4000; i++) { // 160 MB through a heap of 48
			byte[] block = new byte[40000];
			block[i % 40000] = 1;
			kept.put(i, block);
		}
		for (byte[] b : kept.values())
			for (byte v : b)
				sum += v;
		boolean full = false;
		List<long[]> hoard = new ArrayList<>();
		try {
			while (true)
				hoard.add(new long[1 << 17]);
		} catch (OutOfMemoryError e) {
			hoard = null;
			full = true;
		}
		check(sum == 100 && full, "garbage");
	}

	static void compiled() {
		long h = 0;
		double d = 0;
		for (int i = 0; i < 2000000; i++) {
			h = h * 31 + i;
			d += Math.sqrt(i) * 0.5;
		}
		StringBuilder b = new StringBuilder();
		for (int i = 0; i < 5000; i++)
			b.append(i);
		check(h != 0, "compiled " + Long.toHexString(h) + " " + b.toString().hashCode());
		check(Math.abs(d - 942808688.1) < 1000, "floating point");
	}

	public static void main(String[] args) throws Exception {
		nulls();
		stack();
		threads();
		garbage();
		compiled();
		System.exit(8);
	}
}
