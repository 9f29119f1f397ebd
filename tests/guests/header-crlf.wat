;; Wants header lines of its own: in a value, in a name, in the response to the
;; request, and with a NUL. Each is refused and it lives on.
(import "apisix:filter/request@0.1.0" "set-header"
  (func $set-header (param i32 i32 i32 i32 i32)))
(import "apisix:filter/request@0.1.0" "set-response-header"
  (func $set-response-header (param i32 i32 i32 i32 i32)))
(data (i32.const 512) "x-good") (data (i32.const 520) "v\0d\0ax-bad: 1")
(data (i32.const 544) "x-bad: 1\0d\0ax") (data (i32.const 560) "v\00w")
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (call $set-header (i32.const 512) (i32.const 6) (i32.const 520) (i32.const 11) (i32.const 64))
  (call $expect-error (i32.const 2))
  (call $set-header (i32.const 544) (i32.const 11) (i32.const 512) (i32.const 1) (i32.const 64))
  (call $expect-error (i32.const 2))
  (call $set-header (i32.const 512) (i32.const 6) (i32.const 560) (i32.const 3) (i32.const 64))
  (call $expect-error (i32.const 2))
  (call $set-response-header (i32.const 512) (i32.const 6) (i32.const 520) (i32.const 11) (i32.const 64))
  (call $expect-error (i32.const 2))
  i32.const 0)
