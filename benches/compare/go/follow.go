package main

import (
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// A file that is followed: read once, by one goroutine, and handed to all who follow it.
type followed struct {
	mutex     sync.Mutex
	followers map[chan []byte]struct{}
}

var (
	filesMutex sync.Mutex
	files      = map[string]*followed{}
)

// Blocks that wait for one who does not keep up; more, and he is ended.
const blocksWaiting = 1024

// What is added within this time of what was handed on is handed on together.
const together = 5 * time.Millisecond

func follow(channel io.ReadWriter, path string) uint32 {
	file, err := open(path)
	if err != nil {
		return 1
	}
	blocks := make(chan []byte, blocksWaiting)
	file.mutex.Lock()
	file.followers[blocks] = struct{}{}
	file.mutex.Unlock()
	defer file.forget(blocks)
	gone := make(chan struct{})
	go func() {
		io.Copy(io.Discard, channel)
		close(gone)
	}()
	for {
		select {
		case block, more := <-blocks:
			if !more {
				return 1
			}
			if _, err := channel.Write(block); err != nil {
				return 1
			}
		case <-gone:
			return 0
		}
	}
}

func open(path string) (*followed, error) {
	filesMutex.Lock()
	defer filesMutex.Unlock()
	if known := files[path]; known != nil {
		return known, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if _, err := file.Seek(0, io.SeekEnd); err != nil {
		return nil, err
	}
	descriptor, err := syscall.InotifyInit()
	if err != nil {
		return nil, err
	}
	if _, err := syscall.InotifyAddWatch(descriptor, path, syscall.IN_MODIFY); err != nil {
		return nil, err
	}
	own := &followed{followers: map[chan []byte]struct{}{}}
	files[path] = own
	go own.read(file, descriptor)
	return own, nil
}

func (f *followed) read(file *os.File, descriptor int) {
	events := make([]byte, 4096)
	for {
		block := make([]byte, 64*1024)
		for {
			n, err := file.Read(block)
			if n == 0 || err != nil {
				break
			}
			f.handOn(append([]byte(nil), block[:n]...))
		}
		time.Sleep(together)
		if _, err := syscall.Read(descriptor, events); err != nil && err != syscall.EINTR {
			return
		}
	}
}

func (f *followed) handOn(block []byte) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	for follower := range f.followers {
		select {
		case follower <- block:
		default:
			delete(f.followers, follower)
			close(follower)
		}
	}
}

func (f *followed) forget(blocks chan []byte) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	delete(f.followers, blocks)
}
