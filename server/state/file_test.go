// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"strings"
	"testing"
)

// metaPages are the first two pages of a database, of the transactions of these numbers.
func metaPages(size uint64, transactions [2]uint64) []byte {
	file := make([]byte, 2*size)
	for i, transaction := range transactions {
		page := file[uint64(i)*size:]
		order.PutUint64(page, uint64(i))
		order.PutUint16(page[8:], metaPage)
		meta := page[pageHeader:]
		order.PutUint32(meta, metaMagic)
		order.PutUint32(meta[4:], metaVersion)
		order.PutUint32(meta[8:], uint32(size))
		order.PutUint64(meta[48:], transaction)
		seal(page)
	}
	return file
}

// seal gives a page the checksum of what it has.
func seal(page []byte) {
	sum := fnv.New64a()
	sum.Write(page[pageHeader : pageHeader+metaSize-8])
	order.PutUint64(page[pageHeader+metaSize-8:], sum.Sum64())
}

func TestTheNewerOfTwoPagesSaysWhereTheRestIs(t *testing.T) {
	const size = 4096
	for transactions, want := range map[[2]uint64]uint64{{6, 7}: 1, {7, 6}: 0, {6, 6}: 0} { // of two that are as new bbolt takes the first
		file := metaPages(size, transactions)
		for i := range uint64(2) {
			order.PutUint64(file[i*size+pageHeader+16:], i)
			seal(file[i*size:])
		}
		newest, err := newestMeta(bytes.NewReader(file), size)
		if err != nil || order.Uint64(newest[16:]) != want {
			t.Errorf("of %v it is %v, %v", transactions, newest, err)
		}
	}
}

func TestNeitherOfTheFirstPagesMayBeDamaged(t *testing.T) {
	const size = 4096
	for sentence, c := range map[string]struct {
		at   int
		seal bool // so that only that field is wrong
	}{
		"the kind of the page":        {8, true},
		"the magic number":            {pageHeader, true},
		"the version":                 {pageHeader + 4, true},
		"the page size":               {pageHeader + 8, true},
		"the root, not the checksum":  {pageHeader + 16, false},
		"the pages, not the checksum": {pageHeader + 40, false},
		"the checksum":                {pageHeader + metaSize - 8, false},
	} {
		for i := range 2 {
			t.Run(fmt.Sprintf("%s of page %d", sentence, i), func(t *testing.T) {
				file := metaPages(size, [2]uint64{6, 7})
				page := file[i*size:]
				page[c.at] ^= 1
				if c.seal {
					seal(page)
				}
				_, err := newestMeta(bytes.NewReader(file), size)
				if want := fmt.Sprintf("page %d, which says where the rest is, is damaged", i); err == nil || err.Error() != want {
					t.Errorf("it is answered %v", err)
				}
			})
		}
	}
	for _, length := range []int{size, size + pageHeader + metaSize - 1} {
		if _, err := newestMeta(bytes.NewReader(metaPages(size, [2]uint64{6, 7})[:length]), size); err == nil || !strings.HasPrefix(err.Error(), "it is too short") {
			t.Errorf("of %d bytes: %v", length, err)
		}
	}
}
