;; Imports the files of the machine, and would open one: there is no folder to
;; open it in.
(component
  (import "wasi:filesystem/types@0.2.0" (instance $types
    (export "descriptor" (type (sub resource)))))
  (alias export $types "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
    (alias outer 1 $descriptor (type $outer))
    (export "descriptor" (type $descriptor (eq $outer)))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))
  (core module $room
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024))
  (core instance $room (instantiate $room))
  (core func $directories (canon lower (func $preopens "get-directories")
    (memory $room "memory") (realloc (func $room "realloc"))))
  (core module $m
    (import "room" "memory" (memory 1))
    (import "room" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    (import "host" "directories" (func $directories (param i32)))
    (export "memory" (memory 0))
    (export "realloc" (func $realloc))
    (func (export "configure") (param i32 i32) (result i32) i32.const 0)
    (func (export "on-response") (result i32)
      (call $directories (i32.const 64))
      (if (i32.load (i32.const 68)) (then unreachable))
      i32.const 0))
  (core instance $i (instantiate $m
    (with "room" (instance $room))
    (with "host" (instance (export "directories" (func $directories))))))
)
