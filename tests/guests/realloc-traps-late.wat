;; Accepts its configuration and traps where a host function of the call asks
;; it for room.
(import "apisix:filter/request@0.1.0" "method" (func $method (param i32)))
(global $late (mut i32) (i32.const 0))
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (if (global.get $late) (then unreachable))
  i32.const 1024)
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (global.set $late (i32.const 1))
  (call $method (i32.const 64))
  i32.const 0)
