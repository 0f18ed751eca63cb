// Roots and proofs of made-up trees by Go's own tlog, one line a question, for our tree to be held against.
// Questions on standard input: "SIZE" (root), "SIZE INDEX" (inclusion), "OLD -> SIZE" (consistency). A node that is asked for is
// SHA-256("level/index") from level 0 up where the argument is "virtual" (trees larger than any memory), else the real hash over its leaves.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

type virtual struct{}

func (virtual) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		hashes[i] = sha256.Sum256([]byte(fmt.Sprintf("%d/%d", level, n)))
	}
	return hashes, nil
}

type stored []tlog.Hash

func (s *stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = (*s)[index]
	}
	return hashes, nil
}

// grow writes what a log of Go's would store: leaf n is "leaf n".
func (s *stored) grow(size int64) {
	for n := int64(0); n < size; n++ {
		hashes, err := tlog.StoredHashes(n, []byte(fmt.Sprintf("leaf %d", n)), s)
		if err != nil {
			panic(err)
		}
		*s = append(*s, hashes...)
	}
}

func print(hashes []tlog.Hash) string {
	words := make([]string, len(hashes))
	for i, hash := range hashes {
		words[i] = base64.StdEncoding.EncodeToString(hash[:])
	}
	return strings.Join(words, " ")
}

func main() {
	var reader tlog.HashReader = virtual{}
	if os.Args[1] != "virtual" {
		var size int64
		fmt.Sscan(os.Args[1], &size)
		all := &stored{}
		all.grow(size)
		reader = all
	}
	in := bufio.NewScanner(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		var a, b int64
		line := in.Text()
		var proof []tlog.Hash
		var err error
		if strings.Contains(line, "->") {
			fmt.Sscanf(line, "%d -> %d", &a, &b)
			proof, err = tlog.ProveTree(b, a, reader)
		} else if n, _ := fmt.Sscan(line, &a, &b); n == 2 {
			proof, err = tlog.ProveRecord(a, b, reader)
		} else {
			var root tlog.Hash
			root, err = tlog.TreeHash(a, reader)
			proof = []tlog.Hash{root}
		}
		if err != nil {
			fmt.Fprintln(out, err)
		} else {
			fmt.Fprintln(out, print(proof))
		}
	}
}
