// Checks one receipt offline with Go's own transparency-log packages and nothing of ours: that the leaves are in the signed tree, and
// that the request and the answer are what they commit to.
// usage: receipt VKEY RECEIPT_FILE [REQUEST_FILE ANSWER_FILE]
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type leaf struct {
	Record, Leaf, Proof string
	Index               int64
	Salt                []byte // base64 in the file; null where the transcript was erased
}

func must(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func read(path string) []byte {
	content, err := os.ReadFile(path)
	must(err, "file")
	return content
}

// proved leads from the leaf's bytes to the root that was signed.
func proved(l leaf, verifier note.Verifier) (int64, error) {
	head, signed, found := strings.Cut(l.Proof, "\n\n")
	opened, err := note.Open([]byte(signed), note.VerifierList(verifier))
	if err != nil {
		return 0, err
	}
	checkpoint := strings.Split(opened.Text, "\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || lines[1] != fmt.Sprintf("index %d", l.Index) || len(checkpoint) < 4 || checkpoint[0] != verifier.Name() {
		return 0, errors.New("not a tlog-proof of this log")
	}
	size, err := strconv.ParseInt(checkpoint[1], 10, 64)
	if err != nil {
		return 0, err
	}
	root, err := tlog.ParseHash(checkpoint[2])
	if err != nil {
		return 0, err
	}
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return 0, err
		}
		proof = append(proof, hash)
	}
	return size, tlog.CheckRecord(proof, size, root, l.Index, tlog.RecordHash([]byte(l.Leaf)))
}

// commits: the leaf holds base64 of SHA-256(salt, record id, bytes).
func commits(l leaf, name string, content []byte) error {
	var fields map[string]interface{}
	if err := json.Unmarshal([]byte(l.Leaf), &fields); err != nil {
		return err
	}
	hash := sha256.Sum256(bytes.Join([][]byte{l.Salt, []byte(l.Record), content}, nil))
	if fields["id"] != l.Record || fields[name] != base64.StdEncoding.EncodeToString(hash[:]) {
		return errors.New("not what the leaf commits to")
	}
	return nil
}

var (
	member   = regexp.MustCompile(`,"audit":\{[^{}]*\}`)
	comments = regexp.MustCompile(`(?m)^:[^\n]*\n\n`)
)

// committed is the answer without its members audit and without a stream's comments; where each choice has a record, what is this choice's.
func committed(answer string, l leaf) string {
	var end struct{ Choice *int }
	must(json.Unmarshal([]byte(l.Leaf), &end), "leaf")
	whole := strings.HasPrefix(answer, "{")
	if !whole {
		answer = comments.ReplaceAllString(answer, "")
	}
	if end.Choice == nil {
		return member.ReplaceAllString(answer, "")
	}
	if whole {
		_, choices, _ := strings.Cut(answer, `,"choices":[`)
		parts := member.Split(choices, -1)
		if *end.Choice >= len(parts) {
			return ""
		}
		return strings.TrimPrefix(parts[*end.Choice], "},") + "}"
	}
	mine, current := "", -1
	for _, frame := range strings.SplitAfter(answer, "\n\n") {
		var chunk struct{ Choices []struct{ Index int } }
		if json.Unmarshal([]byte(strings.TrimPrefix(frame, "data: ")), &chunk) == nil && len(chunk.Choices) > 0 {
			current = chunk.Choices[0].Index
		}
		if current == *end.Choice {
			mine += member.ReplaceAllString(frame, "")
		}
	}
	return mine
}

func main() {
	if len(os.Args) != 3 && len(os.Args) != 5 {
		must(errors.New("receipt VKEY RECEIPT_FILE [REQUEST_FILE ANSWER_FILE]"), "usage")
	}
	verifier, err := note.NewVerifier(os.Args[1])
	must(err, "key")
	var receipt struct {
		Begin leaf
		Ends  []leaf
	}
	must(json.Unmarshal(read(os.Args[2]), &receipt), "receipt")
	for _, l := range append([]leaf{receipt.Begin}, receipt.Ends...) {
		size, err := proved(l, verifier)
		must(err, fmt.Sprintf("leaf %d", l.Index))
		fmt.Printf("leaf %d is in the signed tree of %d\n", l.Index, size)
	}
	if len(os.Args) == 5 {
		must(commits(receipt.Begin, "req_commit", read(os.Args[3])), "request")
		answer := string(read(os.Args[4]))
		if len(receipt.Ends) == 0 {
			must(errors.New("the exchange has not ended"), "answer")
		}
		for _, end := range receipt.Ends {
			must(commits(end, "res_commit", []byte(committed(answer, end))), "answer")
		}
		fmt.Println("the request and the answer are what they commit to")
	}
}
