package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

func serve(o *options) error {
	key, err := readKey(o.hostKey)
	if err != nil {
		return err
	}
	known, err := readAuthorized(o.authorizedKeys)
	if err != nil {
		return err
	}
	config := &ssh.ServerConfig{
		Config: o.config(),
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			for _, one := range known {
				if bytes.Equal(one, key.Marshal()) {
					return nil, nil
				}
			}
			return nil, errors.New("not known")
		},
	}
	config.AddHostKey(key)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "Server listening on 127.0.0.1 port %d.\n", listener.Addr().(*net.TCPAddr).Port)
	for {
		socket, err := listener.Accept()
		if err != nil {
			return err
		}
		go serveOne(socket, config)
	}
}

func readAuthorized(path string) ([][]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var known [][]byte
	for len(text) > 0 {
		key, _, _, rest, err := ssh.ParseAuthorizedKey(text)
		if err != nil {
			break
		}
		known = append(known, key.Marshal())
		text = rest
	}
	return known, nil
}

func serveOne(socket net.Conn, config *ssh.ServerConfig) {
	defer socket.Close()
	conn, channels, requests, err := ssh.NewServerConn(socket, config)
	if err != nil {
		return
	}
	defer conn.Close()
	go ssh.DiscardRequests(requests)
	for offer := range channels {
		if offer.ChannelType() != "session" {
			offer.Reject(ssh.UnknownChannelType, "")
			continue
		}
		channel, requests, err := offer.Accept()
		if err != nil {
			return
		}
		go serveSession(channel, requests)
	}
}

func serveSession(channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	for request := range requests {
		if request.Type != "exec" {
			request.Reply(false, nil)
			continue
		}
		var exec struct{ Command string }
		if ssh.Unmarshal(request.Payload, &exec) != nil {
			return
		}
		request.Reply(true, nil)
		go ssh.DiscardRequests(requests)
		status := runCommand(channel, strings.Fields(exec.Command))
		channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
		channel.CloseWrite()
		return
	}
}

func runCommand(channel ssh.Channel, words []string) uint32 {
	switch {
	case len(words) == 1 && words[0] == "true":
		return 0
	case len(words) == 4 && words[0] == "head" && words[3] == "/dev/zero":
		count, err := strconv.ParseInt(words[2], 10, 64)
		if err != nil {
			return 1
		}
		if pour(channel, count) != nil {
			return 1
		}
		return 0
	case len(words) == 2 && words[0] == "cat" && words[1] == ">/dev/null":
		block := make([]byte, blockSize)
		for {
			if _, err := channel.Read(block); err == io.EOF {
				return 0
			} else if err != nil {
				return 1
			}
		}
	case len(words) == 1 && words[0] == "cat":
		if _, err := io.Copy(channel, channel); err != nil {
			return 1
		}
		return 0
	case len(words) == 4 && words[0] == "tail" && words[2] == "-f":
		return follow(channel, words[3])
	}
	return 127
}
