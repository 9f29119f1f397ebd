;; Wants one page after the other, writes to each, and cannot do without more.
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (local $page i32)
  (loop $again
    (local.set $page (memory.grow (i32.const 1)))
    (if (i32.eq (local.get $page) (i32.const -1)) (then unreachable))
    (i32.store (i32.mul (local.get $page) (i32.const 65536)) (i32.const 1))
    (br $again))
  unreachable)
