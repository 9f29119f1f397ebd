;; Asks for ten thousand different variables in one exchange, which is refused
;; before the gateway hears of it.
(import "apisix:filter/variables@0.1.0" "get-many" (func $get-many (param i32 i32 i32)))
(memory (export "memory") 4)
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (local $number i32) (local $entry i32) (local $name i32)
  (loop $again
    (local.set $entry (i32.add (i32.const 8192) (i32.mul (local.get $number) (i32.const 8))))
    (local.set $name (i32.add (i32.const 131072) (i32.mul (local.get $number) (i32.const 4))))
    (i32.store (local.get $name) (call $letters (local.get $number)))
    (i32.store (local.get $entry) (local.get $name))
    (i32.store offset=4 (local.get $entry) (i32.const 4))
    (local.set $number (i32.add (local.get $number) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get $number) (i32.const 10000))))
  (call $get-many (i32.const 8192) (i32.const 10000) (i32.const 64))
  (call $expect-error (i32.const 3))
  i32.const 0)
