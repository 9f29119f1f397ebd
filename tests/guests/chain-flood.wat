;; Passes on values until that is refused as too much, and lives on.
(import "apisix:filter/chain@0.1.0" "set" (func $set (param i32 i32 i32 i32 i32)))
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (local $number i32)
  (loop $again
    (i32.store (i32.const 512) (call $letters (local.get $number)))
    (local.set $number (i32.add (local.get $number) (i32.const 1)))
    (call $set (i32.const 512) (i32.const 4) (i32.const 8192) (i32.const 1024) (i32.const 64))
    (br_if $again (i32.eqz (i32.load8_u (i32.const 64)))))
  (call $expect-error (i32.const 3))
  i32.const 0)
