//! ECDH on the curves nistp256, nistp384 and nistp521 (RFC 5656 §4, SEC 1).
//!
//! Points are uncompressed, `04 ‖ x ‖ y`, and no other form is taken. It gives the x-coordinate in the width of the curve's
//! field; what it becomes in a hash differs by method.

use p256::elliptic_curve::ecdh::diffie_hellman;
use p256::elliptic_curve::sec1::{FromSec1Point, ModulusSize, Sec1Point, Tag, ToSec1Point};
use p256::elliptic_curve::{AffinePoint, Curve, CurveArithmetic, FieldBytes, NonZeroScalar, PublicKey};
use zeroize::Zeroizing;

use super::ecdh::Ecdh;
use super::{BadPublicValue, SharedBytes};
use crate::crypto::Rng;

pub(super) type NistP256 = NistEcdh<p256::NistP256>;
pub(super) type NistP384 = NistEcdh<p384::NistP384>;
pub(super) type NistP521 = NistEcdh<p521::NistP521>;

/// What is asked of a curve here.
pub(super) trait NistCurve:
    CurveArithmetic<AffinePoint: FromSec1Point<Self> + ToSec1Point<Self>> + Curve<FieldBytesSize: ModulusSize>
{
    /// The bits of a scalar's first byte that the order of the curve has room for.
    const FIRST_BYTE: u8;
}

impl NistCurve for p256::NistP256 {
    const FIRST_BYTE: u8 = 0xff;
}

impl NistCurve for p384::NistP384 {
    const FIRST_BYTE: u8 = 0xff;
}

impl NistCurve for p521::NistP521 {
    const FIRST_BYTE: u8 = 0x01;
}

/// An ephemeral key.
pub(super) struct NistEcdh<C: NistCurve> {
    scalar: Zeroizing<NonZeroScalar<C>>,
    public: Sec1Point<C>,
}

impl<C: NistCurve> Ecdh for NistEcdh<C> {
    fn new(rng: &mut dyn Rng) -> Self {
        let scalar = random_scalar(rng);
        let public = PublicKey::<C>::from_secret_scalar(&scalar).to_sec1_point(false);
        Self { scalar, public }
    }

    fn public(&self) -> &[u8] {
        self.public.as_bytes()
    }

    /// The crate decodes what SEC 1 §2.3.4 says: coordinates less than p, and a point of the curve. The curves have a
    /// cofactor of 1, so that the point then has the full order (RFC 5656 §4).
    fn agree(&self, public: &[u8]) -> Result<SharedBytes, BadPublicValue> {
        let point = Sec1Point::<C>::from_bytes(public).map_err(|_| BadPublicValue)?;
        if point.tag() != Tag::Uncompressed {
            return Err(BadPublicValue);
        }
        let point = AffinePoint::<C>::from_sec1_point(&point).into_option().ok_or(BadPublicValue)?;
        let scalar: &NonZeroScalar<C> = &self.scalar;
        let shared = diffie_hellman(scalar, point);
        Ok(Zeroizing::new(shared.raw_secret_bytes().to_vec()))
    }
}

/// A number from 1 to n − 1, each with the same chance: what is out of range is drawn again (FIPS 186-5 A.2.2). That
/// happens less than once in 2³² draws of P-256, and hardly ever with the others.
fn random_scalar<C: NistCurve>(rng: &mut dyn Rng) -> Zeroizing<NonZeroScalar<C>> {
    loop {
        let mut bytes = Zeroizing::new(FieldBytes::<C>::default());
        rng.fill(&mut bytes);
        if let Some(first) = bytes.first_mut() {
            *first &= C::FIRST_BYTE;
        }
        if let Ok(scalar) = NonZeroScalar::try_from(bytes.as_slice()) {
            return Zeroizing::new(scalar);
        }
    }
}
