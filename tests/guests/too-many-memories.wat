;; Twelve memories, one to an instance inside of it: more than a component may
;; have.
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "configure") (param i32 i32) (result i32) i32.const 0)
    (func (export "on-response") (result i32) i32.const 0))
  (core instance $i (instantiate $m))
  (core module $one (memory 1))
  (component $four
    (alias outer 1 $one (core module $one))
    (core instance (instantiate $one)) (core instance (instantiate $one))
    (core instance (instantiate $one)) (core instance (instantiate $one)))
  (instance (instantiate $four)) (instance (instantiate $four)) (instance (instantiate $four))
)
