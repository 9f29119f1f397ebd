;; Stops the request with lists that claim more than there is: 0 a body of
;; 4 GiB, 1 as many headers as a number can say, 2 a body that begins outside.
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (i32.store8 (i32.const 132) (i32.const 1))
  (i32.store16 (i32.const 136) (i32.const 200))
  (if (i32.eq (call $number) (i32.const 0)) (then
    (i32.store (i32.const 152) (i32.const -1))))
  (if (i32.eq (call $number) (i32.const 1)) (then
    (i32.store (i32.const 144) (i32.const -1))))
  (if (i32.eq (call $number) (i32.const 2)) (then
    (i32.store (i32.const 148) (i32.const -8))
    (i32.store (i32.const 152) (i32.const 16))))
  i32.const 128)
