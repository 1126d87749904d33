//! `name=value` options behind the method.

use crate::auth::tokens::Token;

use super::{ClientCertificate, ClientName, Complaint, ConnectionType, Method, Record};

/// Options of methods that are not here, and how PostgreSQL names those methods.
const FOREIGN: [(&str, &[&str]); 6] = [
    ("pam", &["pamservice", "pam_use_hostname"]),
    (
        "ldap",
        &[
            "ldapurl",
            "ldaptls",
            "ldapscheme",
            "ldapserver",
            "ldapport",
            "ldapbinddn",
            "ldapbindpasswd",
            "ldapsearchattribute",
            "ldapsearchfilter",
            "ldapbasedn",
            "ldapprefix",
            "ldapsuffix",
        ],
    ),
    ("gssapi and sspi", &["krb_realm", "include_realm"]),
    ("sspi", &["compat_realm", "upn_username"]),
    ("radius", &["radiusservers", "radiusports", "radiussecrets", "radiusidentifiers"]),
    ("oauth", &["issuer", "scope", "validator", "delegate_ident_mapping"]),
];

/// Applies one option to the record.
pub(super) fn apply(record: &mut Record, token: &Token) -> Result<(), Complaint> {
    let text = &token.text;
    let Some((name, value)) = text.split_once('=') else {
        return Err(Complaint::new(format!("authentication option not in name=value format: {text}")));
    };
    match name {
        "map" if matches!(record.method, Method::Peer | Method::Cert) => record.map = Some(value.to_owned()),
        "map" => {
            return Err(only_for("map", "ident, peer, gssapi, sspi, cert, and oauth"));
        }
        "clientcert" | "clientname" if record.connection != ConnectionType::HostSsl => {
            return Err(Complaint::new(format!("{name} can only be configured for \"hostssl\" rows")));
        }
        "clientcert" => record.client_certificate = client_certificate(record.method, value)?,
        "clientname" => record.client_name = client_name(value)?,
        _ => {
            return Err(match FOREIGN.iter().find(|(_, names)| names.contains(&name)) {
                Some((methods, _)) => only_for(name, methods),
                None => Complaint::new(format!("unrecognized authentication option name: \"{name}\"")),
            });
        }
    }
    Ok(())
}

fn client_certificate(method: Method, value: &str) -> Result<ClientCertificate, Complaint> {
    match value {
        "verify-full" => Ok(ClientCertificate::VerifyFull),
        "verify-ca" if method == Method::Cert => Err(Complaint {
            shown: Some("clientcert can only be set to \"verify-full\" when using \"cert\" authentication"),
            ..Complaint::new("clientcert only accepts \"verify-full\" when using \"cert\" authentication")
        }),
        "verify-ca" => Ok(ClientCertificate::VerifyCa),
        _ => Err(Complaint::new(format!("invalid value for clientcert: \"{value}\""))),
    }
}

fn client_name(value: &str) -> Result<ClientName, Complaint> {
    match value {
        "CN" => Ok(ClientName::Cn),
        "DN" => Ok(ClientName::Dn),
        _ => Err(Complaint::new(format!("invalid value for clientname: \"{value}\""))),
    }
}

fn only_for(option: &str, methods: &str) -> Complaint {
    Complaint::new(format!(
        "authentication option \"{option}\" is only valid for authentication methods {methods}"
    ))
}

/// The options as the view shows them.
pub(super) fn shown(record: &Record) -> Vec<String> {
    let mut options = Vec::new();
    if let Some(map) = &record.map {
        options.push(format!("map={map}"));
    }
    match record.client_certificate {
        ClientCertificate::Off => {}
        ClientCertificate::VerifyCa => options.push("clientcert=verify-ca".to_owned()),
        ClientCertificate::VerifyFull => options.push("clientcert=verify-full".to_owned()),
    }
    options
}
