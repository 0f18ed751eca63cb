// Checks a log with Go's own transparency-log packages and nothing of ours: signature, tiles, every entry, inclusion and consistency.
// usage: stranger BASE VKEY [AUDITOR_KEY [OLD_CHECKPOINT_FILE]]
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var base, vkey, key string

func must(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func get(path string, auth bool) ([]byte, error) {
	request, err := http.NewRequest("GET", base+"/"+path, nil)
	if err != nil {
		return nil, err
	}
	if auth {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != 200 {
		err = fmt.Errorf("%s: status %d", path, response.StatusCode)
	}
	return body, err
}

// open checks the signature and reads the three lines of a checkpoint.
func open(signed []byte) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.SplitN(opened.Text, "\n", 4)
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, errors.New("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tlog.Tree{}, errors.New("not a root")
	}
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], root)
	return tree, nil
}

// path is that of C2SP tlog-tiles; tlog's own has the height in it.
func path(level string, n int64, w int) string {
	groups := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		groups = fmt.Sprintf("x%03d/%s", n%1000, groups)
	}
	if w == 256 {
		return "tile/" + level + "/" + groups
	}
	return fmt.Sprintf("tile/%s/%s.p/%d", level, groups, w)
}

type tiles struct{}

func (tiles) Height() int                     { return 8 }
func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var data [][]byte
	for _, tile := range wanted {
		bytes, err := get(path(strconv.Itoa(tile.L), tile.N, tile.W), false)
		if err != nil {
			return nil, err
		}
		data = append(data, bytes)
	}
	return data, nil
}

func entries(size int64) ([][]byte, error) {
	var all [][]byte
	for n := int64(0); n*256 < size; n++ {
		width := size - n*256
		if width > 256 {
			width = 256
		}
		bundle, err := get(path("entries", n, int(width)), true)
		if err != nil {
			return nil, err
		}
		for len(bundle) > 0 {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				return nil, errors.New("a bundle is cut short")
			}
			length := int(binary.BigEndian.Uint16(bundle))
			all = append(all, bundle[2:2+length])
			bundle = bundle[2+length:]
		}
	}
	if int64(len(all)) != size {
		return nil, fmt.Errorf("%d entries for a tree of %d", len(all), size)
	}
	return all, nil
}

// proved checks a tlog-proof as a client would keep it.
func proved(index int64, entry []byte) error {
	text, err := get(fmt.Sprintf("proof/%d", index), false)
	if err != nil {
		return err
	}
	head, checkpoint, found := bytes.Cut(text, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !found || lines[0] != "c2sp.org/tlog-proof@v1" || lines[1] != fmt.Sprintf("index %d", index) {
		return errors.New("not a tlog-proof")
	}
	tree, err := open(checkpoint)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry))
}

func main() {
	if len(os.Args) < 3 || len(os.Args) > 5 {
		must(errors.New("stranger BASE VKEY [AUDITOR_KEY [OLD_CHECKPOINT_FILE]], where BASE ends in /audit/v1/log"), "usage")
	}
	base, vkey = os.Args[1], os.Args[2]
	signed, err := get("checkpoint", false)
	must(err, "checkpoint")
	tree, err := open(signed)
	must(err, "checkpoint")
	reader := tlog.TileHashReader(tree, tiles{})
	root, err := tlog.TreeHash(tree.N, reader)
	must(err, "tiles")
	if root != tree.Hash {
		must(errors.New("another root"), "tiles")
	}
	checked := 0
	if len(os.Args) > 3 {
		key = os.Args[3]
		all, err := entries(tree.N)
		must(err, "entries")
		for index, entry := range all {
			hashes, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(index))})
			must(err, "entries")
			if hashes[0] != tlog.RecordHash(entry) {
				must(fmt.Errorf("entry %d is not the one in the tree", index), "entries")
			}
			checked++
		}
		for _, index := range []int64{0, tree.N / 2, tree.N - 1} {
			must(proved(index, all[index]), fmt.Sprintf("proof of %d", index))
		}
	}
	if len(os.Args) > 4 {
		kept, err := os.ReadFile(os.Args[4])
		must(err, "old checkpoint")
		old, err := open(kept)
		must(err, "old checkpoint")
		proof, err := tlog.ProveTree(tree.N, old.N, reader)
		must(err, "consistency")
		must(tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash), "consistency")
		defer fmt.Printf("they go on from the %d of the kept checkpoint\n", old.N)
	}
	fmt.Printf("%d leaves, %d entries checked\n", tree.N, checked)
}
