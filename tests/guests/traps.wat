;; Traps in every way that a module can, by its configuration and in either
;; phase.
(type $nothing (func))
(table $table 4 funcref)
(elem (table $table) (i32.const 0) func $seven)
(elem $dropped func $seven)
(data $gone "x")
(func $seven (result i64) i64.const 7)
(func $is (param i32) (result i32) (i32.eq (call $number) (local.get 0)))
(func $trap
  (if (call $is (i32.const 1)) (then (drop (i32.div_u (i32.const 1) (i32.const 0)))))
  (if (call $is (i32.const 2)) (then
    (drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))))
  (if (call $is (i32.const 3)) (then (drop (i32.load (i32.const 0x7ffffff0)))))
  (if (call $is (i32.const 4)) (then
    (i64.store offset=0xffffffff (i32.const -1) (i64.const 1))))
  (if (call $is (i32.const 5)) (then (call_indirect $table (type $nothing) (i32.const 0))))
  (if (call $is (i32.const 6)) (then (call_indirect $table (type $nothing) (i32.const 1))))
  (if (call $is (i32.const 7)) (then (call_indirect $table (type $nothing) (i32.const -1))))
  (if (call $is (i32.const 8)) (then (drop (i32.trunc_f64_s (f64.const nan)))))
  (if (call $is (i32.const 9)) (then
    (memory.copy (i32.const 0) (i32.const 65000) (i32.const 65000))))
  (if (call $is (i32.const 10)) (then
    (elem.drop $dropped)
    (table.init $table $dropped (i32.const 0) (i32.const 0) (i32.const 1))))
  (if (call $is (i32.const 11)) (then
    (data.drop $gone)
    (memory.init $gone (i32.const 0) (i32.const 0) (i32.const 1))))
  unreachable)
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (call $trap) i32.const 0)
(func (export "apisix:filter/response-handler@0.1.0#on-response") (result i32)
  (call $trap) i32.const 0)
