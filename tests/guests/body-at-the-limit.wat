;; Replaces the body by one of as many bytes as its configuration says. Where
;; that is refused as too much, and nothing else, it lives on; in either phase.
(import "apisix:filter/request@0.1.0" "set-body" (func $set-body (param i32 i32 i32)))
(import "apisix:filter/response@0.1.0" "set-body" (func $set-response (param i32 i32 i32)))
(func $make-body
  (drop (memory.grow (i32.div_u (call $number) (i32.const 65000))))
  (memory.fill (i32.const 8192) (i32.const 98) (call $number)))
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  call $make-body
  (call $set-body (i32.const 8192) (call $number) (i32.const 64))
  (if (i32.load8_u (i32.const 64)) (then (call $expect-error (i32.const 3))))
  i32.const 0)
(func (export "apisix:filter/response-handler@0.1.0#on-response") (result i32)
  call $make-body
  (call $set-response (i32.const 8192) (call $number) (i32.const 64))
  (if (i32.load8_u (i32.const 64)) (then (call $expect-error (i32.const 3))))
  i32.const 0)
