;; Waits for a million things at once, each the same timer, which is far away.
(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $outer))
    (export "pollable" (type $pollable (eq $outer)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
  (core module $room
    (memory (export "memory") 80)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024))
  (core instance $room (instantiate $room))
  (core func $timer (canon lower (func $clock "subscribe-duration")))
  (core func $poll (canon lower (func $poll "poll")
    (memory $room "memory") (realloc (func $room "realloc"))))
  (core module $m
    (import "room" "memory" (memory 1))
    (import "room" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    (import "host" "timer" (func $timer (param i64) (result i32)))
    (import "host" "poll" (func $poll (param i32 i32 i32)))
    (export "memory" (memory 0))
    (export "realloc" (func $realloc))
    (func (export "configure") (param i32 i32) (result i32) i32.const 0)
    (func (export "on-response") (result i32)
      (local $timer i32) (local $at i32)
      (local.set $timer (call $timer (i64.const 1000000000000)))
      (local.set $at (i32.const 65536))
      (loop $again
        (i32.store (local.get $at) (local.get $timer))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br_if $again (i32.lt_u (local.get $at) (i32.const 4065536))))
      (call $poll (i32.const 65536) (i32.const 1000000) (i32.const 64))
      i32.const 0))
  (core instance $i (instantiate $m
    (with "room" (instance $room))
    (with "host" (instance
      (export "timer" (func $timer)) (export "poll" (func $poll))))))
)
