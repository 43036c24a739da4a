// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"bytes"
	"crypto/ecdh"
	"crypto/sha256"
	"testing"
)

// The messages and keys of RFC 8448, section 3, "Simple 1-RTT Handshake".
const (
	rfc8448ClientKey   = "49af42ba7f7994852d713ef2784bcbcaa7911de26adc5642cb634540e7ea5005"
	rfc8448ClientHello = `010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7000006130113031302010000
		910000000b0009000006736572766572ff01000100000a00140012001d0017001800190100010101020103010400230000003300260024001d0020
		99381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c002b0003020304000d0020001e040305030603020308040805080604
		010501060102010402050206020202002d00020101001c00024001`
	rfc8448ServerHello = `020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e2692800130100002e00330024001d0020
		c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b00020304`
	// EncryptedExtensions, Certificate and CertificateVerify.
	rfc8448ServerFlight = `080000240022000a00140012001d00170018001901000101010201030104001c0002400100000000
		0b0001b9000001b50001b0308201ac30820115a003020102020102300d06092a864886f70d01010b0500300e310c300a06035504031303727361301e
		170d3136303733303031323335395a170d3236303733303031323335395a300e310c300a0603550403130372736130819f300d06092a864886f70d01
		0101050003818d0030818902818100b4bb498f8279303d980836399b36c6988c0c68de55e1bdb826d3901a2461eafd2de49a91d015abbc9a95137ace
		6c1af19eaa6af98c7ced43120998e187a80ee0ccb0524b1b018c3e0b63264d449a6d38e22a5fda430846748030530ef0461c8ca9d9efbfae8ea6d1d0
		3e2bd193eff0ab9a8002c47428a6d35a8d88d79f7f1e3f0203010001a31a301830090603551d1304023000300b0603551d0f0404030205a0300d0609
		2a864886f70d01010b05000381810085aad2a0e5b9276b908c65f73a7267170618a54c5f8a7b337d2df7a594365417f2eae8f8a58c8f8172f9319cf3
		6b7fd6c55b80f21a03015156726096fd335e5e67f2dbf102702e608ccae6bec1fc63a42a99be5c3eb7107c3c54e9b9eb2bd5203b1c3b84e0a8b2f759
		409ba3eac9d91d402dcc0cc8f8961229ac9187b42b4de100000f000084080400805a747c5d88fa9bd2e55ab085a61015b7211f824cd484145ab3ff52
		f1fda8477b0b7abc90db78e2d33a5c141a078653fa6bef780c5ea248eeaaa785c4f394cab6d30bbe8d4859ee511f602957b15411ac027671459e4644
		5c9ea58c181e818e95b8c3fb0bf3278409d3be152a3da5043e063dda65cdf5aea20d53dfacd42f74f3`
	rfc8448ServerFinished = "140000209b9b141d906337fbd2cbdce71df4deda4ab42c309572cb7fffee5454b78f0718"
	rfc8448ClientFinished = "14000020a8ec436d677634ae525ac1fcebe11a039ec17694fac6e98527b642f2edd5ce61"
	// The client's Finished as it leaves, protected.
	rfc8448ClientFinishedRecord = `170303003575ec4dc238cce60b298044a71e219c56cc77b0517fe9b93c7a4bfc44d87f38f80338ac98fc46deb3
		84bd1caeacab6867d726c40546`
)

// TestRFC8448 goes through the key schedule of the trace, step by step.
func TestRFC8448(t *testing.T) {
	const suite = TLS_AES_128_GCM_SHA256
	check := func(name string, got []byte, want string) {
		t.Helper()
		if !bytes.Equal(got, fromHex(t, want)) {
			t.Errorf("%s is %x, want %s", name, got, want)
		}
	}
	private, err := ecdh.X25519().NewPrivateKey(fromHex(t, rfc8448ClientKey))
	if err != nil {
		t.Fatal(err)
	}
	hello, err := parseServerHello(fromHex(t, rfc8448ServerHello), fromHex(t, rfc8448ServerHello)[handshakeHeaderLength:])
	if err != nil {
		t.Fatal(err)
	}
	group, exchange, err := parseServerKeyShare(hello.extensions)
	if err != nil || group != X25519 || hello.cipherSuite != suite {
		t.Fatalf("ServerHello: %v, %v, %v", group, hello.cipherSuite, err)
	}
	shared, err := (&keyShare{X25519, private}).sharedSecret(exchange)
	if err != nil {
		t.Fatal(err)
	}
	check("shared secret", shared, "8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d")

	schedule := newKeySchedule(suite)
	check("Early Secret", schedule.secret, "33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a")
	schedule.mix(shared)
	check("Handshake Secret", schedule.secret, "1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac")
	transcript := sha256.New()
	transcript.Write(fromHex(t, rfc8448ClientHello))
	transcript.Write(fromHex(t, rfc8448ServerHello))
	client := schedule.derive("c hs traffic", transcript)
	server := schedule.derive("s hs traffic", transcript)
	check("client handshake traffic secret", client, "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21")
	check("server handshake traffic secret", server, "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38")
	check("server write key", expandLabel(suite, server, "key", nil, 16), "3fce516009c21727d0f2e4e86ee403bc")

	var keys trafficKeys
	if err := keys.install(suite, server); err != nil {
		t.Fatal(err)
	}
	check("server write IV", keys.iv[:], "5d313eb2671276ee13000b30")

	transcript.Write(fromHex(t, rfc8448ServerFlight))
	finished := fromHex(t, rfc8448ServerFinished)
	check("server's verify_data", verifyData(suite, server, transcript), rfc8448ServerFinished[8:])
	transcript.Write(finished)
	check("client's Finished", marshalFinished(verifyData(suite, client, transcript)), rfc8448ClientFinished)
	if err := keys.install(suite, client); err != nil {
		t.Fatal(err)
	}
	check("client's record", keys.seal(nil, recordHandshake, fromHex(t, rfc8448ClientFinished)), rfc8448ClientFinishedRecord)

	schedule.mix(nil)
	check("Master Secret", schedule.secret, "18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919")
	check("client application traffic secret", schedule.derive("c ap traffic", transcript), "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5")
	check("server application traffic secret", schedule.derive("s ap traffic", transcript), "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643")
}

// TestSignedContent holds the content of CertificateVerify against the example in
// RFC 8446, section 4.4.3.
func TestSignedContent(t *testing.T) {
	transcript := sha256.New()
	want := fromHex(t, `2020202020202020202020202020202020202020202020202020202020202020
		2020202020202020202020202020202020202020202020202020202020202020
		544c5320312e332c207365727665722043657274696669636174655665726966
		7900`)
	if got := signedContent(transcript); !bytes.Equal(got, transcript.Sum(want)) {
		t.Errorf("%x", got)
	}
}

func TestHelloRetryRequestRandomIsItsHash(t *testing.T) {
	if want := sha256.Sum256([]byte("HelloRetryRequest")); !bytes.Equal(helloRetryRequestRandom, want[:]) {
		t.Errorf("%x, want %x", helloRetryRequestRandom, want)
	}
}
