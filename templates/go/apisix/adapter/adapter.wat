;; Gives a filter what Go's runtime needs of WASI, out of what the gateway's
;; runner has: the time, random numbers, and a log for what is printed. There are
;; no files, sockets, arguments or environment variables.
;;
;; The adapter that usually does this keeps its state in memory which it takes
;; from the filter before Go's runtime has started, where Go has none to give, or
;; by growing the memory, which Go believes to be its own. This one keeps nothing
;; but globals.
(module
  (import "env" "memory" (memory 0))
  (import "apisix:filter/clock@0.1.0" "now-ms" (func $now-ms (result i64)))
  (import "apisix:filter/log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $monotonic-ns (result i64)))
  (import "wasi:random/random@0.2.0" "get-random-u64" (func $random-u64 (result i64)))

  ;; While the host hands something over, nothing may call it: the clocks stand
  ;; still at what they said last, in nanoseconds, and what is printed waits.
  (global $held (mut i32) (i32.const 0))
  (global $wall (mut i64) (i64.const 0))
  (global $monotonic (mut i64) (i64.const 0))

  ;; Where printed bytes wait for a line feed: room in the filter's memory.
  (global $line (mut i32) (i32.const 0))
  (global $line-room (mut i32) (i32.const 0))
  (global $line-length (mut i32) (i32.const 0))
  ;; That of the line: info for standard output, warn for standard error.
  (global $line-level (mut i32) (i32.const 2))

  (func (export "adapter_hold") (param $held i32)
    (global.set $held (local.get $held)))

  (func (export "adapter_use_line") (param $at i32) (param $room i32)
    (global.set $line (local.get $at))
    (global.set $line-room (local.get $room)))

  (func $end-line (export "adapter_end_line")
    (if (i32.and (i32.eqz (global.get $held)) (i32.ne (global.get $line-length) (i32.const 0)))
      (then
        (call $log (global.get $line-level) (global.get $line) (global.get $line-length))
        (global.set $line-length (i32.const 0)))))

  (func $print-byte (param $byte i32)
    (if (i32.eq (local.get $byte) (i32.const 10)) (then (call $end-line) (return)))
    (if (i32.eq (global.get $line-length) (global.get $line-room)) (then (return)))
    ;; The log takes UTF-8 only, and a line may be cut anywhere.
    (if (i32.ge_u (local.get $byte) (i32.const 128)) (then (local.set $byte (i32.const 63))))
    (i32.store8 (i32.add (global.get $line) (global.get $line-length)) (local.get $byte))
    (global.set $line-length (i32.add (global.get $line-length) (i32.const 1)))
    (if (i32.eq (global.get $line-length) (global.get $line-room)) (then (call $end-line))))

  (func (export "fd_write")
    (param $fd i32) (param $parts i32) (param $count i32) (param $written i32) (result i32)
    (local $at i32) (local $end i32) (local $sum i32) (local $level i32)
    (local.set $level (select (i32.const 3) (i32.const 2) (i32.eq (local.get $fd) (i32.const 2))))
    (if (i32.ne (local.get $level) (global.get $line-level))
      (then
        (call $end-line)
        (global.set $line-level (local.get $level))))
    (block $all
      (loop $part
        (br_if $all (i32.eqz (local.get $count)))
        (local.set $at (i32.load (local.get $parts)))
        (local.set $end (i32.add (local.get $at) (i32.load offset=4 (local.get $parts))))
        (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $parts))))
        (block $part-end
          (loop $byte
            (br_if $part-end (i32.eq (local.get $at) (local.get $end)))
            (call $print-byte (i32.load8_u (local.get $at)))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $byte)))
        (local.set $parts (i32.add (local.get $parts) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $part)))
    (i32.store (local.get $written) (local.get $sum))
    (i32.const 0))

  (func $now (result i64)
    ;; The host may count from this call on, and Go does not take 0 for a time.
    (if (i32.eqz (global.get $held))
      (then (global.set $monotonic (i64.add (call $monotonic-ns) (i64.const 1)))))
    (global.get $monotonic))

  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $time i32) (result i32)
    ;; 0 is the time of day; the others only go on.
    (if (local.get $clock)
      (then (i64.store (local.get $time) (call $now)))
      (else
        (if (i32.eqz (global.get $held))
          (then (global.set $wall (i64.mul (call $now-ms) (i64.const 1000000)))))
        (i64.store (local.get $time) (global.get $wall))))
    (i32.const 0))
  (func (export "clock_res_get") (param $clock i32) (param $resolution i32) (result i32)
    (i64.store (local.get $resolution) (i64.const 1000000))
    (i32.const 0))

  (func (export "random_get") (param $at i32) (param $length i32) (result i32)
    (local $random i64)
    ;; 6 is "try again": better none than numbers that are not random.
    (if (global.get $held) (then (return (i32.const 6))))
    (block $all
      (loop $eight
        (br_if $all (i32.eqz (local.get $length)))
        (local.set $random (call $random-u64))
        (loop $byte
          (i64.store8 (local.get $at) (local.get $random))
          (local.set $random (i64.shr_u (local.get $random) (i64.const 8)))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (local.set $length (i32.sub (local.get $length) (i32.const 1)))
          (br_if $all (i32.eqz (local.get $length)))
          (br_if $byte (i32.and (local.get $length) (i32.const 7))))
        (br $eight)))
    (i32.const 0))

  ;; time.Sleep, and a wait for a timer: computes until then. What is waited for
  ;; here is always one point in time, the first of the subscriptions; Go asks
  ;; again for the others, and there are no files to wait for.
  (func (export "poll_oneoff")
    (param $subscription i32) (param $event i32) (param $count i32) (param $events i32) (result i32)
    (local $until i64)
    ;; A clock is number 0.
    (if (i32.or (i32.eqz (local.get $count)) (i32.load8_u offset=8 (local.get $subscription)))
      (then (return (i32.const 58))))
    (local.set $until (i64.load offset=24 (local.get $subscription)))
    ;; Flag 1: a point in time; otherwise a time from now.
    (if (i32.eqz (i32.and (i32.load16_u offset=40 (local.get $subscription)) (i32.const 1)))
      (then (local.set $until (i64.add (local.get $until) (call $now)))))
    (loop $wait
      (br_if $wait
        (i32.and (i64.lt_u (call $now) (local.get $until)) (i32.eqz (global.get $held)))))
    (i64.store (local.get $event) (i64.load (local.get $subscription)))
    (i64.store offset=8 (local.get $event) (i64.const 0))
    (i64.store offset=16 (local.get $event) (i64.const 0))
    (i64.store offset=24 (local.get $event) (i64.const 0))
    (i32.store (local.get $events) (i32.const 1))
    (i32.const 0))

  (func (export "sched_yield") (result i32) (i32.const 0))
  (func (export "proc_exit") (param $status i32) (call $end-line) (unreachable))

  ;; No arguments, no environment.
  (func $none (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (i32.const 0))
  (export "args_sizes_get" (func $none))
  (export "environ_sizes_get" (func $none))
  (func $nothing (param i32 i32) (result i32) (i32.const 0))
  (export "args_get" (func $nothing))
  (export "environ_get" (func $nothing))

  ;; No files, no sockets: 8 is "bad file descriptor", 76 "not permitted to".
  (func $bad1 (param i32) (result i32) (i32.const 8))
  (export "fd_close" (func $bad1))
  (export "fd_datasync" (func $bad1))
  (export "fd_sync" (func $bad1))
  (func $bad2 (param i32 i32) (result i32) (i32.const 8))
  (export "fd_fdstat_get" (func $bad2))
  (export "fd_fdstat_set_flags" (func $bad2))
  (export "fd_filestat_get" (func $bad2))
  (export "fd_prestat_get" (func $bad2))
  (export "fd_renumber" (func $bad2))
  (export "fd_tell" (func $bad2))
  (export "sock_shutdown" (func $bad2))
  (func $bad3 (param i32 i32 i32) (result i32) (i32.const 8))
  (export "fd_prestat_dir_name" (func $bad3))
  (export "sock_accept" (func $bad3))
  (func $bad4 (param i32 i32 i32 i32) (result i32) (i32.const 8))
  (export "fd_read" (func $bad4))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 8))
  (func $bad-at (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (export "fd_pread" (func $bad-at))
  (export "fd_pwrite" (func $bad-at))
  (export "fd_readdir" (func $bad-at))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func $bad-range (param i32 i64 i64) (result i32) (i32.const 8))
  (export "fd_allocate" (func $bad-range))
  (export "fd_fdstat_set_rights" (func $bad-range))
  (func $bad-range-how (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (export "fd_advise" (func $bad-range-how))
  (export "fd_filestat_set_times" (func $bad-range-how))
  (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))

  (func $no3 (param i32 i32 i32) (result i32) (i32.const 76))
  (export "path_create_directory" (func $no3))
  (export "path_remove_directory" (func $no3))
  (export "path_unlink_file" (func $no3))
  (func $no5 (param i32 i32 i32 i32 i32) (result i32) (i32.const 76))
  (export "path_filestat_get" (func $no5))
  (export "path_symlink" (func $no5))
  (func $no6 (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 76))
  (export "path_readlink" (func $no6))
  (export "path_rename" (func $no6))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 76))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 76))
)
