"""Faults of settings, profiles, secrets and the home."""

from __future__ import annotations

from gateway.errors.base import GatewayError, Side


class ConfigurationFault(GatewayError):
    """Settings, profiles or secrets do not say what the gateway needs."""

    code = "configuration"
    sentence = "The configuration is wrong: {reason}"
    advice = "Correct the configuration and run `gateway doctor`."
    side = Side.OURS
    exit_code = 78


class HomeMissing(ConfigurationFault):
    code = "home.missing"
    sentence = "There is no gateway home at {path}: it has no gateway.toml."
    advice = "Make one with `gateway init --home DIR`, or name another with --home or GATEWAY_HOME."


class HomeExists(ConfigurationFault):
    code = "home.exists"
    sentence = "There is a gateway home at {path} already; nothing was changed."
    advice = "Use that home, or choose another directory."


class SettingsInvalid(ConfigurationFault):
    code = "settings.invalid"
    sentence = "{file}, line {line}, key {key}: {reason}"
    advice = "Correct the value in gateway.toml; docs/reference/settings.md lists what is allowed."


class AuthoritiesUnusable(ConfigurationFault):
    code = "settings.ca-file"
    sentence = "{setting} names {file}, and no certificate of an authority can be read from it: {reason}."
    advice = (
        "Correct {setting} in gateway.toml: a file with certificates in PEM; without it the system's authorities count."
    )


class ProfileInvalid(ConfigurationFault):
    code = "profile.invalid"
    sentence = "{file}, line {line}, key {key}: {reason}"
    advice = "Correct the profile and run `gateway partner apply` again; nothing was changed."


class GuidelineInvalid(ConfigurationFault):
    code = "guideline.invalid"
    sentence = "{file}, line {line}, key {key}: {reason}"
    advice = "Correct the guideline and apply the profile that names it; docs/reference/guidelines.md lists the keys."


class ProfileOverlap(ConfigurationFault):
    code = "profile.overlap"
    sentence = "{what} is claimed by both {first} and {second}."
    advice = "An address or identity pair must lead to one partner: correct one of the two profiles."


class SecretMissing(ConfigurationFault):
    code = "secret.missing"
    sentence = "There is no secret named {name}."
    advice = "Store it with `gateway secret set {name}`, or give it in the environment or the credentials directory."


class SecretNotOutside(SecretMissing):
    code = "secret.not-outside"
    sentence = "The secret {name} is neither in the environment nor in the credentials directory."
    advice = (
        "Give it as {variable}, or as the file {name} in the directory that CREDENTIALS_DIRECTORY names: "
        "the database cannot hold its own password."
    )


class SecretUnreadable(ConfigurationFault):
    code = "secret.unreadable"
    sentence = "The secret {name} cannot be decrypted with the key in {path}."
    advice = "Restore the key file that belongs to this ledger, or set the secret again."


class CertificateUnreadable(ConfigurationFault):
    code = "certificate.unreadable"
    sentence = "{name} holds no certificate that can be used: {reason}"
    advice = "Ask the partner for the certificate as PEM, DER, .p7b, .p7c or PKCS #12."


class CertificateMissing(ConfigurationFault):
    code = "certificate.missing"
    sentence = "{partner} has no trusted certificate that is valid now and fit to {use}."
    advice = "`gateway partner certificate list {partner}` shows what there is; add and trust one."


class OwnKeyMissing(ConfigurationFault):
    code = "key.missing"
    sentence = "There is no key of ours for S/MIME {which}."
    advice = "Make one with `gateway key generate`, or import one with `gateway key import`."


class OwnKeyUnusable(ConfigurationFault):
    code = "key.unusable"
    sentence = "The key {name} cannot be used: {reason}"
    advice = "`gateway key list` shows all keys; import it again from a backup, or generate another."


class UnknownPartner(ConfigurationFault):
    code = "partner.unknown"
    sentence = "There is no trading partner named {partner}."
    advice = "`gateway partner list` shows all; `gateway partner apply FILE` adds one."
    exit_code = 2


class NoAgreement(ConfigurationFault):
    code = "agreement.missing"
    sentence = "{partner} has no agreement to {direction} {set} {version}."
    advice = "Add the transaction set to an agreement in the partner's profile and apply it."

    def __str__(self) -> str:
        return super().__str__().replace(" .", ".")  # a set alone, without an envelope, tells no version


class MigrationsBehind(ConfigurationFault):
    code = "database.migrations-behind"
    sentence = "The database is at revision {found}, this gateway needs {wanted}."
    advice = "Run `gateway init --upgrade` (make a backup first)."


class DatabaseEmpty(MigrationsBehind):
    code = "database.empty"
    sentence = "There is no ledger in the database {place}."
    advice = (
        "If there was one, do not go on without it: look for its file, disk or server, or put a backup in its place "
        "(`gateway ledger restore`). For a new gateway `gateway init --upgrade` makes an empty ledger."
    )


class DatabaseEncoding(ConfigurationFault):
    code = "database.encoding"
    sentence = "The database keeps text in {encoding}, which cannot hold what mails are written in; nothing was made."
    advice = "Make a database in UTF8 (`createdb NAME --owner USER --encoding UTF8 --template template0`), and name it."


class LedgerBehind(ConfigurationFault):
    code = "ledger.behind"
    sentence = "The ledger ends at {newest}; this home has seen {known}. An older ledger was put back, or another one."
    advice = (
        "Nothing was collected or sent. Put the newest ledger back; if this is the newest that there is, run"
        " `gateway ledger accept-restore --reason WHY`, which jumps over numbers that partners have seen."
    )


class CheckpointUnreadable(ConfigurationFault):
    code = "checkpoint.unreadable"
    sentence = "{path} does not tell how far the ledger had come: {reason}"
    advice = (
        "Look whether the ledger is the newest that there is; then remove the file, and the next run makes another."
    )


class NotInstalled(ConfigurationFault):
    code = "package.not-installed"
    sentence = "{feature} needs the package {package}, which is not installed."
    advice = "Install it, for example with `pip install 'edi-gateway[{extra}]'`."


class WorkersNeedPostgres(ConfigurationFault):
    code = "workers.need-postgres"
    sentence = "Workers share a ledger on PostgreSQL; this home's is {url}."
    advice = "Run `gateway serve` or `gateway night` here; docs/scaling.md tells when and how to move to PostgreSQL."


class JobsMissing(ConfigurationFault):
    code = "workers.no-jobs"
    sentence = "The database has no tables for the workers' jobs, or those of another version of Procrastinate."
    advice = "Stop all workers, then run `gateway init --upgrade` once."
