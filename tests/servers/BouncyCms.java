import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.List;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cms.CMSAlgorithm;
import org.bouncycastle.cms.CMSAuthEnvelopedData;
import org.bouncycastle.cms.CMSAuthEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSCompressedData;
import org.bouncycastle.cms.CMSCompressedDataGenerator;
import org.bouncycastle.cms.CMSCompressedDataStreamGenerator;
import org.bouncycastle.cms.CMSEnvelopedData;
import org.bouncycastle.cms.CMSEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSEnvelopedDataStreamGenerator;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.CMSSignedDataStreamGenerator;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.cms.jcajce.JceCMSContentEncryptorBuilder;
import org.bouncycastle.cms.jcajce.JceKeyTransAuthEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.ZlibCompressor;
import org.bouncycastle.cms.jcajce.ZlibExpanderProvider;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.OutputAEADEncryptor;
import org.bouncycastle.operator.OutputEncryptor;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;

/** The other party: does a list of CMS jobs in one run. Arguments: a directory with cert.der and key.der, then
 *  triples of a verb, a file to read and a file to write. */
public class BouncyCms {
    static X509Certificate certificate;
    static PrivateKey key;

    public static void main(String[] given) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        Path home = Path.of(given[0]);
        try (var in = Files.newInputStream(home.resolve("cert.der"))) {
            certificate = (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
        }
        var spec = new PKCS8EncodedKeySpec(Files.readAllBytes(home.resolve("key.der")));
        key = KeyFactory.getInstance("RSA").generatePrivate(spec);
        for (int at = 1; at < given.length; at += 3) {
            byte[] data = Files.readAllBytes(new File(given[at + 1]).toPath());
            Files.write(new File(given[at + 2]).toPath(), done(given[at], data));
        }
    }

    static byte[] done(String verb, byte[] data) throws Exception {
        switch (verb) {
            case "sign-detached": return signed("SHA256withRSA").generate(new CMSProcessableByteArray(data), false).getEncoded();
            case "sign-opaque": return signed("SHA512withRSA").generate(new CMSProcessableByteArray(data), true).getEncoded();
            case "sign-pss": return signed("SHA256withRSAandMGF1").generate(new CMSProcessableByteArray(data), true).getEncoded();
            case "sign-stream": return signedInStream(data);
            case "verify": return verified(new CMSSignedData(data));
            case "encrypt-cbc": return enveloped(CMSAlgorithm.AES256_CBC, data);
            case "encrypt-stream": return envelopedInStream(data);
            case "encrypt-gcm": return sealed(data);
            case "decrypt": return decrypted(data);
            case "compress": return new CMSCompressedDataGenerator().generate(new CMSProcessableByteArray(data), new ZlibCompressor()).getEncoded();
            case "compress-stream": return compressedInStream(data);
            case "expand": return new CMSCompressedData(data).getContent(new ZlibExpanderProvider());
            default: throw new IllegalArgumentException(verb);
        }
    }

    static CMSSignedDataGenerator signed(String algorithm) throws Exception {
        var generator = new CMSSignedDataGenerator();
        var digests = new JcaDigestCalculatorProviderBuilder().setProvider("BC").build();
        var signer = new JcaContentSignerBuilder(algorithm).setProvider("BC").build(key);
        generator.addSignerInfoGenerator(new JcaSignerInfoGeneratorBuilder(digests).build(signer, certificate));
        generator.addCertificates(new JcaCertStore(List.of(certificate)));
        return generator;
    }

    static byte[] signedInStream(byte[] data) throws Exception {
        var generator = new CMSSignedDataStreamGenerator();
        generator.setBufferSize(100);
        var digests = new JcaDigestCalculatorProviderBuilder().setProvider("BC").build();
        var signer = new JcaContentSignerBuilder("SHA256withRSA").setProvider("BC").build(key);
        generator.addSignerInfoGenerator(new JcaSignerInfoGeneratorBuilder(digests).build(signer, certificate));
        generator.addCertificates(new JcaCertStore(List.of(certificate)));
        var out = new ByteArrayOutputStream();
        written(generator.open(out, true), data);
        return out.toByteArray();
    }

    static byte[] verified(CMSSignedData signed) throws Exception {
        for (SignerInformation each : signed.getSignerInfos().getSigners()) {
            if (!each.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(certificate)))
                throw new IllegalStateException("the signature does not hold");
        }
        return (byte[]) signed.getSignedContent().getContent();
    }

    static JceKeyTransRecipientInfoGenerator recipient() throws Exception {
        return new JceKeyTransRecipientInfoGenerator(certificate).setProvider("BC");
    }

    static OutputEncryptor encryptor(ASN1ObjectIdentifier cipher) throws Exception {
        return new JceCMSContentEncryptorBuilder(cipher).setProvider("BC").build();
    }

    static byte[] enveloped(ASN1ObjectIdentifier cipher, byte[] data) throws Exception {
        var generator = new CMSEnvelopedDataGenerator();
        generator.addRecipientInfoGenerator(recipient());
        return generator.generate(new CMSProcessableByteArray(data), encryptor(cipher)).getEncoded();
    }

    static byte[] envelopedInStream(byte[] data) throws Exception {
        var generator = new CMSEnvelopedDataStreamGenerator();
        generator.setBufferSize(100);
        generator.addRecipientInfoGenerator(recipient());
        var out = new ByteArrayOutputStream();
        written(generator.open(out, encryptor(CMSAlgorithm.AES128_CBC)), data);
        return out.toByteArray();
    }

    static byte[] sealed(byte[] data) throws Exception {
        var generator = new CMSAuthEnvelopedDataGenerator();
        generator.addRecipientInfoGenerator(recipient());
        var cipher = (OutputAEADEncryptor) encryptor(CMSAlgorithm.AES256_GCM);
        return generator.generate(new CMSProcessableByteArray(data), cipher).getEncoded();
    }

    static byte[] decrypted(byte[] data) throws Exception {
        try {
            RecipientInformation found = new CMSEnvelopedData(data).getRecipientInfos().getRecipients().iterator().next();
            return found.getContent(new JceKeyTransEnvelopedRecipient(key).setProvider("BC"));
        } catch (org.bouncycastle.cms.CMSException | ClassCastException other) {
            RecipientInformation found = new CMSAuthEnvelopedData(data).getRecipientInfos().getRecipients().iterator().next();
            return found.getContent(new JceKeyTransAuthEnvelopedRecipient(key).setProvider("BC"));
        }
    }

    static byte[] compressedInStream(byte[] data) throws Exception {
        var generator = new CMSCompressedDataStreamGenerator();
        generator.setBufferSize(100);
        var out = new ByteArrayOutputStream();
        written(generator.open(out, new ZlibCompressor()), data);
        return out.toByteArray();
    }

    static void written(OutputStream to, byte[] data) throws Exception {
        to.write(data);
        to.close();
    }
}
