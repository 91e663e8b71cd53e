use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::CertificateError;
use rustls::pki_types::pem::PemObject;

use super::*;

/// A root of that organization.
fn root(organization: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::OrganizationName, organization);
    params.distinguished_name.push(DnType::CommonName, format!("{organization} Root CA 1"));
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a root")
}

fn roots_of(bundle: String) -> Roots {
    Roots::of(Some(Bundle::of_text(bundle)), provider()).expect("roots")
}

/// An authority under that root.
fn between(root: &CertifiedIssuer<'_, KeyPair>) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "Authority");
    CertifiedIssuer::signed_by(params, KeyPair::generate().expect("a key"), root).expect("an authority")
}

/// The roots' verdict on a server's certificate under that root.
fn judged(roots: &Roots, issuer: &CertifiedIssuer<'_, KeyPair>) -> Result<(), Error> {
    judged_with(roots, issuer, &[])
}

/// The same for a server that sends these certificates beside its own.
fn judged_with(
    roots: &Roots,
    issuer: &CertifiedIssuer<'_, KeyPair>,
    intermediates: &[CertificateDer<'_>],
) -> Result<(), Error> {
    let params = CertificateParams::new(["server.example".to_owned()]).expect("a name");
    let certificate = params.signed_by(&KeyPair::generate().expect("a key"), issuer).expect("a certificate");
    let name = ServerName::try_from("server.example").expect("a name");
    roots.verify_server_cert(certificate.der(), intermediates, &name, &[], UnixTime::now()).map(|_| ())
}

#[test]
fn a_certificate_under_a_root_of_amazon_needs_no_other_root() {
    let (amazon, other) = (root("Amazon"), root("Other"));
    let roots = roots_of(format!("# Other\n{}\n# Amazon\n{}", other.pem(), amazon.pem()));
    assert_eq!(judged(&roots, &amazon), Ok(()));
    assert_eq!(roots.looks.load(Ordering::Relaxed), 0, "other roots were looked for");
}

#[test]
fn a_certificate_under_another_root_needs_that_root_alone() {
    let [amazon, other, third] = ["Amazon", "Other", "Third"].map(root);
    let roots = roots_of([&amazon, &third, &other].map(|root| root.pem()).concat());
    assert_eq!(judged(&roots, &other), Ok(()));
    let authority = between(&third);
    assert_eq!(judged_with(&roots, &authority, &[authority.der().clone()]), Ok(()));
    assert!(roots.all.get().is_none(), "all roots were read");
}

#[test]
fn all_roots_are_read_before_a_certificate_is_refused() {
    let roots = roots_of([root("Amazon"), root("Other")].map(|root| root.pem()).concat());
    let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
    assert_eq!(judged(&roots, &root("Unknown")), Err(unknown.clone()));
    assert!(roots.all.get().is_some());
    // The name alone makes no authority.
    let roots = roots_of([root("Amazon"), root("Other")].map(|root| root.pem()).concat());
    assert!(judged(&roots, &root("Other")).is_err());
}

#[test]
fn a_root_whose_name_is_longer_than_the_lines_that_are_searched_is_found_with_all() {
    let long = root(&"Long name ".repeat(60));
    let roots = roots_of([&root("Amazon"), &long].map(|root| root.pem()).concat());
    assert_eq!(judged(&roots, &long), Ok(()));
    assert!(roots.all.get().is_some());
}

#[test]
fn a_process_with_many_receivers_reads_all_roots() {
    let other = root("Other");
    let roots = roots_of([&root("Amazon"), &other].map(|root| root.pem()).concat());
    for _ in 0..LOOKS {
        assert_eq!(judged(&roots, &other), Ok(()));
    }
    assert!(roots.all.get().is_none());
    assert_eq!(judged(&roots, &other), Ok(()));
    assert!(roots.all.get().is_some());
}

#[test]
fn a_bundle_without_roots_of_amazon_is_read_whole() {
    let other = root("Other");
    let roots = roots_of(other.pem());
    assert!(roots.all.get().is_some());
    assert_eq!(judged(&roots, &other), Ok(()));
}

#[test]
fn a_bundle_is_read_as_rustls_reads_it() {
    let text: String = ["One", "Amazon", "Two"].map(|name| root(name).pem()).join("\r\n");
    let expected: Vec<_> =
        CertificateDer::pem_slice_iter(text.as_bytes()).map(|read| read.expect("PEM")).collect();
    let mut by_rustls = RootCertStore::empty();
    by_rustls.add_parsable_certificates(expected);
    assert_eq!(Bundle::of_text(text.clone()).all().expect("roots").roots, by_rustls.roots);
    assert_eq!(Bundle::of_text(text.clone()).of_amazon().roots, by_rustls.roots[1..2]);
    // Lines of another length are for rustls's reader.
    let odd = text.replacen("MII", "M\nII", 1);
    assert!(odd != text && Bundle::of_text(odd).all().is_none());
}
