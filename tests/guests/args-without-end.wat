;; Sets a hundred thousand query arguments. From one on each is refused as too
;; many; those before it count.
(import "apisix:filter/request@0.1.0" "set-arg"
  (func $set (param i32 i32 i32 i32 i32)))
(data (i32.const 512) "x-00000")
;; The next name: five digits, counted up.
(func $count (local $at i32)
  (local.set $at (i32.const 518))
  (loop $carry
    (i32.store8 (local.get $at) (i32.add (i32.load8_u (local.get $at)) (i32.const 1)))
    (if (i32.gt_u (i32.load8_u (local.get $at)) (i32.const 57)) (then
      (i32.store8 (local.get $at) (i32.const 48))
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (br_if $carry (i32.ge_u (local.get $at) (i32.const 514)))))))
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (local $left i32)
  (local.set $left (i32.const 100000))
  (loop $again
    (call $set (i32.const 512) (i32.const 7) (i32.const 512) (i32.const 1) (i32.const 64))
    (if (i32.load8_u (i32.const 64)) (then
      (call $expect-error (i32.const 3))
      (return (i32.const 0))))
    (call $count)
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $again (local.get $left)))
  unreachable)
