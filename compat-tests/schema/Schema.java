import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.util.List;
import java.util.TreeSet;
import java.util.TreeMap;
import java.util.jar.JarFile;
import org.apache.jute.BinaryOutputArchive;
import org.apache.jute.OutputArchive;
import org.apache.jute.Record;

/** Asks each generated record of zookeeper-jute how it is written: its fields in wire order, and three samples as bytes. */
public final class Schema {
    private enum Sample { FILLED, NULL, EXTREME }

    public static void main(String[] args) throws Exception {
        String jar = Record.class.getProtectionDomain().getCodeSource().getLocation().getPath();
        TreeSet<String> names = new TreeSet<>();
        try (JarFile file = new JarFile(jar)) {
            file.stream().map(entry -> entry.getName()).filter(name -> name.startsWith("org/apache/zookeeper/"))
                .filter(name -> name.endsWith(".class") && !name.contains("$"))
                .forEach(name -> names.add(name.substring(0, name.length() - 6).replace('/', '.')));
        }
        for (String name : names) {
            Class<?> type = Class.forName(name);
            if (!Record.class.isAssignableFrom(type) || type.isInterface()) continue;
            System.out.println("record " + name.substring("org.apache.zookeeper.".length()));
            Names fields = new Names();
            sample(type, Sample.FILLED, new int[1]).serialize(fields, "");
            System.out.println("fields" + fields.text());
            for (Sample sample : Sample.values()) {
                ByteArrayOutputStream bytes = new ByteArrayOutputStream();
                sample(type, sample, new int[1]).serialize(BinaryOutputArchive.getArchive(bytes), "");
                StringBuilder hex = new StringBuilder();
                for (byte b : bytes.toByteArray()) hex.append(String.format("%02x", b & 0xff));
                System.out.println((sample.name().toLowerCase() + " " + hex).trim());
            }
        }
    }

    /** A record whose fields all differ, or whose references are null, or whose values stand at their ends. */
    private static Record sample(Class<?> type, Sample sample, int[] count) throws Exception {
        Record record = (Record) type.getDeclaredConstructor().newInstance();
        for (Field field : type.getDeclaredFields()) {
            if (Modifier.isStatic(field.getModifiers())) continue;
            field.setAccessible(true);
            field.set(record, value(field.getGenericType(), sample, count));
        }
        return record;
    }

    private static Object value(Type type, Sample sample, int[] count) throws Exception {
        int number = ++count[0];
        boolean filled = sample == Sample.FILLED;
        boolean extreme = sample == Sample.EXTREME;
        if (type == int.class) return extreme ? Integer.MIN_VALUE : number;
        if (type == long.class) return extreme ? Long.MIN_VALUE : (1L << 40) + number;
        if (type == boolean.class) return !extreme;
        if (type == byte.class) return extreme ? Byte.MIN_VALUE : (byte) number;
        // Text outside ASCII, and bytes that are no text.
        if (type == String.class) return filled ? "/\u00e9" + number : extreme ? "" : null;
        if (type == byte[].class) return filled ? new byte[] {(byte) 0xff, 0, (byte) number} : extreme ? new byte[0] : null;
        if (type instanceof ParameterizedType) {
            Type item = ((ParameterizedType) type).getActualTypeArguments()[0];
            return filled ? List.of(value(item, sample, count), value(item, sample, count)) : extreme ? List.of() : null;
        }
        if (type instanceof Class && Record.class.isAssignableFrom((Class<?>) type)) {
            return sample((Class<?>) type, sample, count);
        }
        throw new IllegalArgumentException("no sample of " + type);
    }

    /** Takes down the names and kinds of the outermost fields, in the order they are written. */
    private static final class Names implements OutputArchive {
        private final StringBuilder text = new StringBuilder();
        private int depth;

        String text() { return text.toString(); }

        private void field(String kind, String tag) {
            if (depth == 1) text.append(' ').append(tag).append(':').append(kind);
        }

        public void writeByte(byte b, String tag) { field("byte", tag); }
        public void writeBool(boolean b, String tag) { field("boolean", tag); }
        public void writeInt(int i, String tag) { field("int", tag); }
        public void writeLong(long l, String tag) { field("long", tag); }
        public void writeFloat(float f, String tag) { field("float", tag); }
        public void writeDouble(double d, String tag) { field("double", tag); }
        public void writeString(String s, String tag) { field("string", tag); }
        public void writeBuffer(byte[] b, String tag) { field("buffer", tag); }
        public void writeRecord(Record r, String tag) throws IOException {
            field("record", tag);
            r.serialize(this, tag);
        }
        public void startRecord(Record r, String tag) { depth++; }
        public void endRecord(Record r, String tag) { depth--; }
        public void startVector(List<?> v, String tag) { field("vector", tag); depth++; }
        public void endVector(List<?> v, String tag) { depth--; }
        public void startMap(TreeMap<?, ?> v, String tag) { field("map", tag); depth++; }
        public void endMap(TreeMap<?, ?> v, String tag) { depth--; }
        public long getDataSize() { return 0; }
    }
}
