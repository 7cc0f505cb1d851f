// The peer with golang.org/x/crypto/ssh for benches/compare: a server that answers a few commands from memory, and a client
// that asks for them. It runs on as many threads as Go takes by itself, and its sockets are those of net: without delay.
//
//	peer server -host-key FILE -authorized-keys FILE [-cipher NAME] [-mac NAME] [-kex NAME]
//	peer client -port PORT -key FILE [-cipher NAME] [-mac NAME] [-kex NAME] [-pour BYTES] COMMAND
//
// The client counts what comes, or pours so many zeros, and fails unless the command ends with 0.
package main

import (
	"flag"
	"fmt"
	"os"

	"golang.org/x/crypto/ssh"
)

// Written at a time: the library cuts it into packets.
const blockSize = 256 * 1024

var zeros [blockSize]byte

type options struct {
	cipher, mac, kex string
	// Of the server.
	hostKey, authorizedKeys string
	// Of the client.
	port int
	key  string
	pour int64
}

func (o *options) config() ssh.Config {
	var config ssh.Config
	for _, list := range []struct {
		given string
		to    *[]string
	}{{o.cipher, &config.Ciphers}, {o.mac, &config.MACs}, {o.kex, &config.KeyExchanges}} {
		if list.given != "" {
			*list.to = []string{list.given}
		}
	}
	return config
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) < 2 {
		return fmt.Errorf("server or client")
	}
	var o options
	flags := flag.NewFlagSet("peer", flag.ExitOnError)
	flags.StringVar(&o.cipher, "cipher", "", "the one cipher")
	flags.StringVar(&o.mac, "mac", "", "the one MAC")
	flags.StringVar(&o.kex, "kex", "", "the one key exchange")
	flags.StringVar(&o.hostKey, "host-key", "", "the server's key")
	flags.StringVar(&o.authorizedKeys, "authorized-keys", "", "who may log in")
	flags.IntVar(&o.port, "port", 0, "where the server is")
	flags.StringVar(&o.key, "key", "", "the user's key")
	flags.Int64Var(&o.pour, "pour", 0, "zeros to send")
	if err := flags.Parse(os.Args[2:]); err != nil {
		return err
	}
	switch os.Args[1] {
	case "server":
		return serve(&o)
	case "client":
		return ask(&o, flags.Arg(0))
	}
	return fmt.Errorf("server or client")
}

func readKey(path string) (ssh.Signer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ssh.ParsePrivateKey(text)
}
