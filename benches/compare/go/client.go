package main

import (
	"fmt"
	"io"

	"golang.org/x/crypto/ssh"
)

func ask(o *options, command string) error {
	key, err := readKey(o.key)
	if err != nil {
		return err
	}
	config := &ssh.ClientConfig{
		Config:          o.config(),
		User:            "root",
		Auth:            []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), // the benchmark's own server, on loopback
	}
	client, err := ssh.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", o.port), config)
	if err != nil {
		return err
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	stdin, err := session.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := session.StdoutPipe()
	if err != nil {
		return err
	}
	if err := session.Start(command); err != nil {
		return err
	}
	if o.pour > 0 {
		if err := pour(stdin, o.pour); err != nil {
			return err
		}
		if err := stdin.Close(); err != nil {
			return err
		}
	}
	block := make([]byte, blockSize)
	for {
		if _, err := stdout.Read(block); err == io.EOF {
			return session.Wait()
		} else if err != nil {
			return err
		}
	}
}

// Writes so many zeros.
func pour(to io.Writer, count int64) error {
	for count > 0 {
		n := min(count, blockSize)
		if _, err := to.Write(zeros[:n]); err != nil {
			return err
		}
		count -= n
	}
	return nil
}
