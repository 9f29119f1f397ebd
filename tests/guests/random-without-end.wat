;; Asks for sixty-four megabytes of random numbers, again and again: it is the
;; host that computes them.
(component
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
  (core module $room
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024))
  (core instance $room (instantiate $room))
  (core func $bytes (canon lower (func $random "get-random-bytes")
    (memory $room "memory") (realloc (func $room "realloc"))))
  (core module $m
    (import "room" "memory" (memory 1))
    (import "room" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    (import "host" "bytes" (func $bytes (param i64 i32)))
    (export "memory" (memory 0))
    (export "realloc" (func $realloc))
    (func (export "configure") (param i32 i32) (result i32) i32.const 0)
    (func (export "on-response") (result i32)
      (loop $again
        (call $bytes (i64.const 67108864) (i32.const 64))
        (br $again))
      unreachable))
  (core instance $i (instantiate $m
    (with "room" (instance $room))
    (with "host" (instance (export "bytes" (func $bytes))))))
)
