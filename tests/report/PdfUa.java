// PDF/UA-1 of each file by veraPDF's profile and rules, read without JAXB, which veraPDF's jar may not bring.
import java.io.*;
import java.util.*;
import javax.xml.parsers.DocumentBuilderFactory;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.*;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.verapdf.pdfa.results.*;
import org.verapdf.pdfa.validation.profiles.*;
import org.w3c.dom.*;

public class PdfUa {
    static final PDFAFlavour FLAVOUR = PDFAFlavour.PDFUA_1;

    static List<Element> all(Element in, String name) {
        List<Element> found = new ArrayList<>();
        NodeList nodes = in.getElementsByTagName(name);
        for (int i = 0; i < nodes.getLength(); i++) found.add((Element) nodes.item(i));
        return found;
    }

    static String text(Element in, String name) {
        return all(in, name).get(0).getTextContent();
    }

    static Rule rule(Element one) {
        Element id = all(one, "id").get(0);
        Element error = all(one, "error").get(0);
        return Profiles.ruleFromValues(
            Profiles.ruleIdFromValues(FLAVOUR.getPart(), id.getAttribute("clause"), Integer.parseInt(id.getAttribute("testNumber"))),
            one.getAttribute("object"), Boolean.valueOf(one.getAttribute("deferred")), one.getAttribute("tags"),
            text(one, "description"), text(one, "test"),
            Profiles.errorFromValues(text(error, "message"), new ArrayList<>()), new ArrayList<>());
    }

    static ValidationProfile profile() throws Exception {
        Element root;
        try (InputStream xml = PDFAParser.class.getResourceAsStream("/org/verapdf/pdfa/validation/PDFUA-1.xml")) {
            root = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(xml).getDocumentElement();
        }
        Set<Rule> rules = new LinkedHashSet<>();
        for (Element one : all(root, "rule")) rules.add(rule(one));
        Set<Variable> variables = new LinkedHashSet<>();
        for (Element one : all(root, "variable"))
            variables.add(Profiles.variableFromValues(one.getAttribute("name"), one.getAttribute("object"), text(one, "defaultValue"), text(one, "value")));
        return Profiles.profileFromValues(FLAVOUR, Profiles.profileDetailsFromValues("PDF/UA-1", "", "", new Date(0)), "", rules, variables);
    }

    public static void main(String[] names) throws Exception {
        java.util.logging.LogManager.getLogManager().reset();
        VeraGreenfieldFoundryProvider.initialise();
        ValidationProfile profile = profile();
        boolean good = true;
        for (String name : names) {
            try (PDFAParser parser = Foundries.defaultInstance().createParser(new File(name), FLAVOUR);
                 PDFAValidator validator = Foundries.defaultInstance().createValidator(profile, false)) {
                ValidationResult result = validator.validate(parser);
                System.out.println(name + ": " + (result.isCompliant() ? "PASS" : "FAIL") + ", " + profile.getRules().size() + " rules, " + result.getTotalAssertions() + " checks");
                for (TestAssertion one : result.getTestAssertions()) {
                    if (one.getStatus() == TestAssertion.Status.FAILED)
                        System.out.println("  " + one.getRuleId().getClause() + "-" + one.getRuleId().getTestNumber() + " " + one.getMessage() + " @ " + one.getLocation().getContext());
                }
                good &= result.isCompliant();
            }
        }
        System.exit(good ? 0 : 1);
    }
}
