// Package runtime is the memory that the host and the filter hand over to each
// other, and the clock while they do. The generated bindings import it by name.
package runtime

import (
	"runtime"
	"unsafe"
)

// What the adapter exports beyond WASI (apisix/adapter/adapter.wat).

//go:wasmimport wasi_snapshot_preview1 adapter_hold
func hold(held uint32)

//go:wasmimport wasi_snapshot_preview1 adapter_use_line
func useLine(line unsafe.Pointer, size uint32)

//go:wasmimport wasi_snapshot_preview1 adapter_end_line
func endLine()

// What is printed waits here for the end of its line.
var line [4096]byte

func init() {
	useLine(unsafe.Pointer(&line), uint32(len(line)))
}

// EndLine logs what was printed without a line feed.
func EndLine() { endLine() }

// Allocate returns memory that stays where it is until the pinner lets go.
func Allocate(pinner *runtime.Pinner, size, align uintptr) unsafe.Pointer {
	if size == 0 {
		return nil
	}
	var made unsafe.Pointer
	if align == 1 {
		made = unsafe.Pointer(unsafe.SliceData(make([]byte, size)))
	} else {
		// The largest alignment that the interface knows.
		made = unsafe.Pointer(unsafe.SliceData(make([]uint64, (size+7)/8)))
	}
	pinner.Pin(made)
	return made
}

// What the host put into the filter's memory, and how much of it since garbage
// was collected.
var (
	handedOver runtime.Pinner
	bytes      uintptr
)

// Unpin leaves what the host handed over to the garbage collector: from here on
// the strings and slices that the bindings made of it keep it alive. Bodies are
// large, and allocating for the host starts no collection.
func Unpin() {
	handedOver.Unpin()
	if bytes > 8<<20 {
		bytes = 0
		runtime.GC()
	}
}

// Between these two no other goroutine runs and no garbage is collected. Go keeps
// both for packages like this one, with these signatures (issue 67401 of Go).

//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()

// The host calls this while it is in the middle of a call, where nothing may call
// the host: no other goroutine, and not Go's runtime, which asks for the time.
//
//go:wasmexport cabi_realloc
func cabiRealloc(old unsafe.Pointer, oldSize, align, size uintptr) unsafe.Pointer {
	procPin()
	hold(1)
	made := Allocate(&handedOver, size, align)
	bytes += size
	if oldSize > 0 {
		copy(unsafe.Slice((*byte)(made), size), unsafe.Slice((*byte)(old), oldSize))
	}
	hold(0)
	procUnpin()
	return made
}
