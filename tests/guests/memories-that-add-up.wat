;; Four memories that are small each. Together they may not have more than one
;; alone: each takes what it gets, and less than half of all is a failure.
(component
  (core module $grows
    (memory 1)
    (func (export "grow") (result i32)
      (local $pages i32)
      (loop $again
        (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then
          (local.set $pages (i32.add (local.get $pages) (i32.const 1)))
          (br $again))))
      local.get $pages))
  (core instance $a (instantiate $grows))
  (core instance $b (instantiate $grows))
  (core instance $c (instantiate $grows))
  (core module $m
    (import "a" "grow" (func $a (result i32)))
    (import "b" "grow" (func $b (result i32)))
    (import "c" "grow" (func $c (result i32)))
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "configure") (param i32 i32) (result i32) i32.const 0)
    (func (export "on-response") (result i32)
      ;; Four memories began with a page each; 4 MiB are 64.
      (if (i32.ne (call $a) (i32.const 60)) (then (return (i32.const -1))))
      (if (i32.ne (call $b) (i32.const 0)) (then (return (i32.const -1))))
      (if (i32.ne (call $c) (i32.const 0)) (then (return (i32.const -1))))
      i32.const 0))
  (core instance $i (instantiate $m
    (with "a" (instance $a)) (with "b" (instance $b)) (with "c" (instance $c))))
)
