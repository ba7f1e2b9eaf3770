//! HMAC-SHA256 under keys derived from the server's one secret, one key for each purpose.

use std::fmt;

use hmac::digest::Key;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

type HmacSha256 = Hmac<Sha256>;

/// Bytes of a key and of a signature.
pub const SIGNATURE_BYTES: usize = 32;

/// A key for one purpose; a signature made for one purpose says nothing for another.
#[derive(Clone)]
pub struct SigningKey([u8; SIGNATURE_BYTES]);

impl SigningKey {
    /// The key for `purpose`, derived from the server's secret.
    pub fn derive(secret: &[u8; SIGNATURE_BYTES], purpose: &str) -> Self {
        Self(Self(*secret).sign(purpose.as_bytes()))
    }

    /// The signature over `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.mac(message).finalize().into_bytes().into()
    }

    /// True when `signature` was made by this key over `message`; takes the same time either way.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.mac(message).verify_slice(signature).is_ok()
    }

    /// The key itself, for libraries that sign by their own means.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn mac(&self, message: &[u8]) -> HmacSha256 {
        // HMAC pads a short key with zeros to the block size; done here, it cannot fail.
        let mut block = Key::<HmacSha256>::default();
        block[..SIGNATURE_BYTES].copy_from_slice(&self.0);
        let mut mac = HmacSha256::new(&block);
        mac.update(message);
        mac
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_message_and_purpose_only() {
        let tickets = SigningKey::derive(&[7; 32], "ticket");
        let tokens = SigningKey::derive(&[7; 32], "token");
        let signature = tickets.sign(b"message");
        assert!(tickets.verify(b"message", &signature));
        assert!(!tickets.verify(b"messagE", &signature));
        assert!(!tickets.verify(b"message", &signature[..31]));
        assert!(!tokens.verify(b"message", &signature));
    }

    #[test]
    fn padding_by_hand_is_plain_hmac() {
        // RFC 4231, test case 2, has the key "Jefe"; zero padding to 32 bytes changes nothing.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let signature = SigningKey(key).sign(b"what do ya want for nothing?");
        assert_eq!(signature[..4], [0x5b, 0xdc, 0xc1, 0x46]);
    }
}
