;; Writes five hundred lines of 8 KiB and lives on.
(import "apisix:filter/log@0.1.0" "log" (func $log (param i32 i32 i32)))
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (local $left i32)
  (memory.fill (i32.const 8192) (i32.const 108) (i32.const 8192))
  (local.set $left (i32.const 500))
  (loop $again
    (call $log (i32.const 4) (i32.const 8192) (i32.const 8192))
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $again (local.get $left)))
  i32.const 0)
