;; Asks for ten thousand different variables, one after the other. From one on
;; each is refused as too many.
(import "apisix:filter/variables@0.1.0" "get" (func $get (param i32 i32 i32)))
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (local $number i32)
  (loop $again
    (i32.store (i32.const 512) (call $letters (local.get $number)))
    (call $get (i32.const 512) (i32.const 4) (i32.const 64))
    (if (i32.load8_u (i32.const 64)) (then
      (call $expect-error (i32.const 3))
      (return (i32.const 0))))
    (local.set $number (i32.add (local.get $number) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get $number) (i32.const 10000))))
  unreachable)
