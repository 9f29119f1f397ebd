;; Hands over two hundred thousand names, each the same one megabyte: a list of
;; little more than a megabyte that reads as 200 GiB.
(import "apisix:filter/variables@0.1.0" "get-many" (func $get-many (param i32 i32 i32)))
(memory (export "memory") 48)
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (local $at i32)
  (memory.fill (i32.const 65536) (i32.const 97) (i32.const 1048576))
  (local.set $at (i32.const 1200000))
  (loop $again
    (i32.store (local.get $at) (i32.const 65536))
    (i32.store offset=4 (local.get $at) (i32.const 1048576))
    (local.set $at (i32.add (local.get $at) (i32.const 8)))
    (br_if $again (i32.lt_u (local.get $at) (i32.const 2800000))))
  (call $get-many (i32.const 1200000) (i32.const 200000) (i32.const 64))
  i32.const 0)
