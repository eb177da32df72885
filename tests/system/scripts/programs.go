// SPDX-License-Identifier: BSD-3-Clause
// A thousand goroutines, timers, channels, garbage, preemption of loops, a nil dereference, files and pipes.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

func check(ok bool, what string) {
	if !ok {
		fmt.Println("wrong:", what)
		os.Exit(1)
	}
	fmt.Println(what)
}

func goroutines() {
	var wg sync.WaitGroup
	var mu sync.Mutex
	sum, ch := 0, make(chan int)
	for i := 0; i < 1000; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			time.Sleep(time.Duration(i%50) * time.Millisecond)
			mu.Lock()
			sum += i
			mu.Unlock()
			ch <- i
		}(i)
	}
	go func() { wg.Wait(); close(ch) }()
	seen := []int{}
	for v := range ch {
		seen = append(seen, v)
	}
	sort.Ints(seen)
	check(sum == 499500 && len(seen) == 1000 && seen[999] == 999, "goroutines")
}

func ring() {
	const n, rounds = 100, 50
	first := make(chan int)
	in := first
	for i := 0; i < n; i++ {
		out := make(chan int)
		go func(in, out chan int) {
			for v := range in {
				out <- v + 1
			}
			close(out)
		}(in, out)
		in = out
	}
	total := 0
	for r := 0; r < rounds; r++ {
		first <- r
		total += <-in
	}
	close(first)
	check(total == n*rounds+rounds*(rounds-1)/2, "ring")
}

func timers() {
	var fired int32
	for i := 0; i < 1000; i++ {
		time.AfterFunc(time.Duration(1+i%40)*time.Millisecond, func() { atomic.AddInt32(&fired, 1) })
	}
	ticks := 0
	t := time.NewTicker(5 * time.Millisecond)
	for range t.C {
		if ticks++; ticks == 10 {
			t.Stop()
			break
		}
	}
	for atomic.LoadInt32(&fired) < 1000 {
		time.Sleep(time.Millisecond)
	}
	select {
	case <-time.After(10 * time.Millisecond):
	case <-make(chan int):
	}
	check(ticks == 10, "timers")
}

func preemption() {
	old := runtime.GOMAXPROCS(1)
	var stop int32
	go func() {
		time.Sleep(20 * time.Millisecond)
		atomic.StoreInt32(&stop, 1)
	}()
	n := 0
	for atomic.LoadInt32(&stop) == 0 { // without calls: only a signal gets in
		n++
	}
	runtime.GOMAXPROCS(old)
	check(n > 0, "preemption")
}

type node struct{ left, right *node }

func tree(d int) *node {
	if d == 0 {
		return &node{}
	}
	return &node{tree(d - 1), tree(d - 1)}
}

func (n *node) count() int {
	if n.left == nil {
		return 1
	}
	return 1 + n.left.count() + n.right.count()
}

func garbage() {
	kept := tree(12)
	for i := 0; i < 30; i++ {
		if tree(10).count() != 2047 {
			check(false, "garbage")
		}
	}
	runtime.GC()
	check(kept.count() == 8191, "garbage")
}

func nilPointer() (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	var n *node
	return fmt.Sprint(n.left)
}

func files() {
	name := "/tmp/from-go"
	data := make([]byte, 300000)
	for i := range data {
		data[i] = byte(i * 7)
	}
	if os.WriteFile(name, data, 0o600) != nil {
		check(false, "files")
	}
	back, err := os.ReadFile(name)
	check(err == nil && sha256.Sum256(back) == sha256.Sum256(data), "files")
	r, w, _ := os.Pipe()
	go func() { w.Write(data); w.Close() }()
	got, buf := 0, make([]byte, 1000)
	for {
		n, err := r.Read(buf)
		got += n
		if err != nil {
			break
		}
	}
	check(got == len(data), "pipe")
}

func main() {
	goroutines()
	ring()
	timers()
	preemption()
	garbage()
	check(nilPointer() == "runtime error: invalid memory address or nil pointer dereference", "nil pointer")
	files()
	os.Exit(4)
}
