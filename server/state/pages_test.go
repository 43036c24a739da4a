// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// element is one of a page: a key with its value, and in a branch with its child.
type element struct {
	key   string
	value []byte
	flags uint32
	child uint64
}

func under(key string, child uint64) element { return element{key: key, child: child} }

// bucket is an element whose tree has that page for its root; with 0 the page follows.
func bucket(key string, root uint64, page ...byte) element {
	value := order.AppendUint64(nil, root)
	return element{key: key, flags: bucketLeaf, value: append(order.AppendUint64(value, 0), page...)}
}

const testPageSize = 512

// node is a page with those elements.
func node(id uint64, kind uint16, elements ...element) []byte {
	page := make([]byte, pageHeader+elementSize*len(elements))
	order.PutUint64(page, id)
	order.PutUint16(page[8:], kind)
	order.PutUint16(page[10:], uint16(len(elements)))
	for i, e := range elements {
		at := pageHeader + i*elementSize
		offset := uint32(len(page) - at)
		if kind == branchPage {
			order.PutUint32(page[at:], offset)
			order.PutUint32(page[at+4:], uint32(len(e.key)))
			order.PutUint64(page[at+8:], e.child)
		} else {
			order.PutUint32(page[at:], e.flags)
			order.PutUint32(page[at+4:], offset)
			order.PutUint32(page[at+8:], uint32(len(e.key)))
			order.PutUint32(page[at+12:], uint32(len(e.value)))
		}
		page = append(append(page, e.key...), e.value...)
	}
	return page
}

func whole(page []byte) []byte {
	return append(page, make([]byte, testPageSize-len(page)%testPageSize)...)
}

func leafOf(id uint64, keys ...string) []byte {
	var elements []element
	for _, key := range keys {
		elements = append(elements, element{key: key, value: []byte("v")})
	}
	return whole(node(id, leafPage, elements...))
}

func branchOf(id uint64, elements ...element) []byte { return whole(node(id, branchPage, elements...)) }

// with changes a byte or two of a page, which was made right.
func with(page []byte, change func(page []byte)) []byte {
	change(page)
	return page
}

// database is a file of pages from number 2 on, which is the root.
func database(pages ...[]byte) []byte {
	file := metaPages(testPageSize, [2]uint64{6, 7})
	rest := slices.Concat(pages...)
	for i := range 2 {
		meta := file[i*testPageSize+pageHeader:]
		order.PutUint64(meta[16:], 2)
		order.PutUint64(meta[32:], noFreeList)
		order.PutUint64(meta[40:], 2+uint64(len(rest)/testPageSize))
		seal(file[i*testPageSize:])
	}
	return append(file, rest...)
}

// meta changes both of the first pages of a file.
func meta(file []byte, change func(meta []byte)) []byte {
	for i := range 2 {
		change(file[i*testPageSize+pageHeader:])
		seal(file[i*testPageSize:])
	}
	return file
}

func checkFile(t *testing.T, content []byte) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return checkPages(f)
}

// TestPagesThatBboltWouldStumbleOver has a file for each thing that may be wrong, and
// beside it one in which that is just right.
func TestPagesThatBboltWouldStumbleOver(t *testing.T) {
	const page2, page3 = "page 2 is damaged", "page 3 is damaged"
	long := strings.Repeat("x", testPageSize)
	for sentence, c := range map[string]struct {
		file []byte
		want string // in the error; empty for a sound file
	}{
		"a leaf":                       {database(leafOf(2, "a", "b")), ""},
		"an empty leaf":                {database(leafOf(2)), ""},
		"a branch of two leaves":       {database(branchOf(2, under("a", 3), under("m", 4)), leafOf(3, "a", "b"), leafOf(4, "m", "z")), ""},
		"a branch of branches":         {database(branchOf(2, under("a", 3), under("m", 4)), branchOf(3, under("a", 5), under("c", 6)), leafOf(4, "m"), leafOf(5, "a", "b"), leafOf(6, "c", "lz")), ""},
		"the last page for the root":   {meta(database(leafOf(2), leafOf(3, "a")), func(m []byte) { order.PutUint64(m[16:], 3) }), ""},
		"a root beyond the last page":  {meta(database(leafOf(2)), func(m []byte) { order.PutUint64(m[16:], 3) }), "it refers to page 3, which it does not have"},
		"a root that is no page of it": {meta(database(leafOf(2)), func(m []byte) { order.PutUint64(m[16:], 1) }), "it refers to page 1, which it does not have"},
		"a child that is no page of it": {
			database(branchOf(2, under("a", 3), under("m", 9)), leafOf(3, "a")), "it refers to page 9, which it does not have"},
		"a child far beyond any page": {
			database(branchOf(2, under("a", 1<<62)), leafOf(3, "a")), "it refers to page 4611686018427387904, which it does not have"},
		"a page of another number":        {database(with(leafOf(2), func(p []byte) { p[0] = 3 }), leafOf(3)), page2},
		"a page over the next":            {database(with(leafOf(2, "a"), func(p []byte) { p[12] = 1 }), make([]byte, testPageSize)), ""},
		"a page over one that is missing": {database(with(leafOf(2, "a"), func(p []byte) { p[12] = 2 }), make([]byte, testPageSize)), page2},
		"a long value, over two pages":    {database(with(whole(node(2, leafPage, element{key: "a", value: []byte(long)})), func(p []byte) { p[12] = 1 })), ""},
		"two children that are one":       {database(branchOf(2, under("a", 3), under("m", 3)), leafOf(3)), "page 3 is used twice"},
		"a child that a page has run over": {
			database(branchOf(2, under("a", 3), under("m", 4)), with(leafOf(3, "a"), func(p []byte) { p[12] = 1 }), leafOf(4)), "page 4 is used twice"},
		"a page that has run over its parent's other child": {
			database(branchOf(2, under("a", 4), under("m", 3)), with(leafOf(3, "m"), func(p []byte) { p[12] = 1 }), leafOf(4, "a")), "page 4 is used twice"},
		"a page within itself":      {database(branchOf(2, under("a", 2))), "page 2 is used twice"},
		"a page of another kind":    {database(with(leafOf(2, "a"), func(p []byte) { p[8] = 0x10 })), page2},
		"a kind that is two":        {database(with(leafOf(2, "a"), func(p []byte) { p[8] = leafPage | branchPage })), page2},
		"a branch without children": {database(branchOf(2)), page2},
		"more elements than fit":    {database(with(leafOf(2, "a"), func(p []byte) { p[10] = 32 })), page2},
		"keys out of order":         {database(leafOf(2, "b", "a")), page2},
		"a key twice":               {database(leafOf(2, "a", "a")), page2},
		"children out of order":     {database(branchOf(2, under("m", 3), under("a", 4)), leafOf(3, "m"), leafOf(4, "a")), page2},
		"a child twice in order":    {database(branchOf(2, under("a", 3), under("a", 4)), leafOf(3, "a"), leafOf(4, "a")), page2},
		"a child from its key on":   {database(branchOf(2, under("c", 3)), leafOf(3, "c")), ""},
		"a child from before it":    {database(branchOf(2, under("c", 3)), leafOf(3, "b")), page3},
		"a child up to the next":    {database(branchOf(2, under("a", 3), under("m", 4)), leafOf(3, "a", "lzz"), leafOf(4, "m")), ""},
		"a child that has the next": {database(branchOf(2, under("a", 3), under("m", 4)), leafOf(3, "a", "m"), leafOf(4, "mm")), page3},
		"a child beyond the next":   {database(branchOf(2, under("a", 3), under("m", 4)), leafOf(3, "a", "n"), leafOf(4, "m")), page3},
		"a grandchild beyond its parent": {
			database(branchOf(2, under("a", 3), under("m", 4)), branchOf(3, under("a", 5), under("c", 6)), leafOf(4, "m"), leafOf(5, "a"), leafOf(6, "c", "n")), "page 6 is damaged"},
		"a grandchild beyond its sister": {
			database(branchOf(2, under("a", 3), under("m", 4)), branchOf(3, under("a", 5), under("c", 6)), leafOf(4, "m"), leafOf(5, "a", "d"), leafOf(6, "c")), "page 5 is damaged"},
		"a key before its element": {database(with(leafOf(2, "a"), func(p []byte) { p[pageHeader+4] = elementSize - 1 })), page2},
		"a key within the header":  {database(with(branchOf(2, under("a", 3)), func(p []byte) { p[pageHeader] = 0 }), leafOf(3)), page2},
		"a key beyond the page":    {database(with(leafOf(2, "a"), func(p []byte) { order.PutUint32(p[pageHeader+8:], testPageSize) })), page2},
		"a key up to the end of it": {database(with(leafOf(2, "a"), func(p []byte) {
			order.PutUint32(p[pageHeader+8:], testPageSize-pageHeader-elementSize)
			order.PutUint32(p[pageHeader+12:], 0)
		})), ""},
		"a key a byte beyond": {database(with(leafOf(2, "a"), func(p []byte) {
			order.PutUint32(p[pageHeader+8:], testPageSize-pageHeader-elementSize+1)
			order.PutUint32(p[pageHeader+12:], 0)
		})), page2},
		"a value beyond the page":       {database(with(leafOf(2, "a"), func(p []byte) { order.PutUint32(p[pageHeader+12:], testPageSize) })), page2},
		"a child's key beyond it":       {database(with(branchOf(2, under("a", 3)), func(p []byte) { order.PutUint32(p[pageHeader+4:], testPageSize) }), leafOf(3)), page2},
		"a bucket":                      {database(whole(node(2, leafPage, bucket("b", 3))), leafOf(3, "x")), ""},
		"a bucket of another page":      {database(whole(node(2, leafPage, bucket("b", 9))), leafOf(3, "x")), "it refers to page 9, which it does not have"},
		"a bucket whose page is wrong":  {database(whole(node(2, leafPage, bucket("b", 3))), leafOf(3, "y", "x")), page3},
		"a bucket from before its name": {database(whole(node(2, leafPage, bucket("b", 3))), leafOf(3, "a", "z")), ""},
		"a bucket beyond the next key":  {database(whole(node(2, leafPage, bucket("b", 3), bucket("c", 4))), leafOf(3, "a", "z"), leafOf(4, "y")), ""},
		"a bucket out of order":         {database(whole(node(2, leafPage, bucket("b", 3), element{key: "a"})), leafOf(3, "x")), page2},
		"a bucket that is cut off":      {database(whole(node(2, leafPage, element{key: "b", flags: bucketLeaf, value: make([]byte, bucketHeader-1)}))), page2},
		"a value as short":              {database(whole(node(2, leafPage, element{key: "b", value: make([]byte, bucketHeader-1)}))), ""},
		"a small bucket":                {database(whole(node(2, leafPage, bucket("b", 0, node(0, leafPage, element{key: "k", value: []byte("v")})...)))), ""},
		"a small bucket without page":   {database(whole(node(2, leafPage, bucket("b", 0)))), page2},
		"a small bucket cut off":        {database(whole(node(2, leafPage, bucket("b", 0, with(node(0, leafPage, element{key: "k"}), func(p []byte) { p[10] = 2 })...)))), page2},
		"a small bucket half a header":  {database(whole(node(2, leafPage, bucket("b", 0, make([]byte, pageHeader-1)...)))), page2},
		"a small bucket out of order":   {database(whole(node(2, leafPage, bucket("b", 0, node(0, leafPage, element{key: "k"}, element{key: "a"})...)))), page2},
		"a small bucket of children":    {database(whole(node(2, leafPage, bucket("b", 0, node(0, branchPage, under("k", 3))...))), leafOf(3, "k")), page2},
		"a small bucket with a bucket":  {database(whole(node(2, leafPage, bucket("b", 0, node(0, leafPage, bucket("k", 3))...))), leafOf(3, "k")), page2},
		"a free list": {
			meta(database(leafOf(2)), func(m []byte) { order.PutUint64(m[32:], 3) }), "another program has written to it"},
		"fewer bytes than pages":            {database(leafOf(2))[:3*testPageSize-1], "it is cut off: 1535 bytes of 3 pages of 512 bytes"},
		"more bytes than pages":             {append(database(leafOf(2)), 0), ""},
		"a damaged second page":             {with(database(leafOf(2)), func(f []byte) { f[testPageSize+pageHeader+20]++ }), "page 1, which says where the rest is, is damaged"},
		"a page size too small":             {with(database(leafOf(2)), func(f []byte) { order.PutUint32(f[pageHeader+8:], 256) }), "another kind of file"},
		"a page size that is no power of 2": {with(database(leafOf(2)), func(f []byte) { order.PutUint32(f[pageHeader+8:], 768) }), "another kind of file"},
		"a page size too large":             {with(database(leafOf(2)), func(f []byte) { order.PutUint32(f[pageHeader+8:], 1<<25) }), "another kind of file"},
		"the largest page size, cut off":    {with(database(leafOf(2)), func(f []byte) { order.PutUint32(f[pageHeader+8:], 1<<24) }), "page 0, which says where the rest is, is damaged"},
	} {
		t.Run(sentence, func(t *testing.T) {
			err := checkFile(t, c.file)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("it is answered %v, want %q", err, c.want)
			}
		})
	}
}

func TestWhatIsNoFileHasNoPages(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := checkPages(dir); err == nil || err.Error() != "it is not a regular file" {
		t.Errorf("a directory: %v", err)
	}
	dir.Close()
	if err := checkPages(dir); err == nil || !strings.Contains(err.Error(), "file already closed") {
		t.Errorf("a closed file: %v", err)
	}
}

// TestAPageThatCannotBeReadIsNoEmptyOne has a disk that fails, here one that ends.
func TestAPageThatCannotBeReadIsNoEmptyOne(t *testing.T) {
	file := database(leafOf(2, "a"))
	for sentence, length := range map[string]int{"its header": 2 * testPageSize, "what follows": 2*testPageSize + pageHeader} {
		p := &pages{file: bytes.NewReader(file[:length]), size: testPageSize, count: 3, visited: map[uint64]bool{}}
		if page, err := p.read(2); err == nil {
			t.Errorf("%s: it is %v", sentence, page)
		}
		p.visited = map[uint64]bool{}
		if err := p.walk(2); err == nil || strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v", sentence, err)
		}
	}
}
