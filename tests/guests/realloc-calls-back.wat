;; Calls the host where the host asks it for room.
(import "apisix:filter/clock@0.1.0" "now-ms" (func $now (result i64)))
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (drop (call $now))
  i32.const 1024)
