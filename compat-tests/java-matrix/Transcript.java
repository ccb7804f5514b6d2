import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Stat;

/**
 * The text that two servers are compared by. What differs between two runs of one server is masked here and nowhere else:
 * zxids are told relative to the start of the section, sessions get names, times are only checked for sense.
 */
final class Transcript {
    private static final Map<Long, String> SESSIONS = new HashMap<>();
    private static long base;

    private Transcript() {
    }

    /** A section whose base is 0 tells no zxids. */
    static void section(String title, long zxid) {
        base = zxid;
        line("");
        line("## " + title);
    }

    static synchronized void line(String text) {
        System.out.println(text);
        System.out.flush();
    }

    static String zxid(long zxid) {
        return zxid <= 0 ? Long.toString(zxid) : base == 0 ? "any" : zxid < base ? "earlier" : "+" + (zxid - base);
    }

    static synchronized void nameSession(long id, String name) {
        SESSIONS.put(id, name);
    }

    static synchronized String session(long id) {
        return id == 0 ? "0" : SESSIONS.getOrDefault(id, "unknown");
    }

    static String stat(Stat s) {
        if (s == null) {
            return "absent";
        }
        long now = System.currentTimeMillis();
        boolean sense = s.getCtime() == 0 ? s.getMtime() == 0 || s.getMtime() <= now + 1000
                : s.getCtime() <= s.getMtime() && s.getMtime() <= now + 1000 && s.getCtime() > now - 3_600_000;
        return "c" + zxid(s.getCzxid()) + " m" + zxid(s.getMzxid()) + " p" + zxid(s.getPzxid()) + " versions " + s.getVersion() + "/"
                + s.getCversion() + "/" + s.getAversion() + " owner " + session(s.getEphemeralOwner()) + " length " + s.getDataLength()
                + " children " + s.getNumChildren() + (sense ? "" : " WRONG TIMES " + s.getCtime() + " " + s.getMtime());
    }

    static String data(byte[] data) {
        if (data == null) {
            return "null";
        }
        if (data.length > 80) {
            CRC32 crc = new CRC32();
            crc.update(data);
            return data.length + " bytes, crc " + Long.toHexString(crc.getValue());
        }
        return "\"" + new String(data, java.nio.charset.StandardCharsets.UTF_8).replace("\n", "\\n") + "\"";
    }

    static String hex(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        for (byte b : bytes) {
            text.append(String.format("%02x", b));
        }
        return text.toString();
    }

    static String names(List<String> names) {
        List<String> sorted = new ArrayList<>(names);
        Collections.sort(sorted);
        return sorted.toString();
    }

    static String acl(List<ACL> acl) {
        List<String> text = new ArrayList<>();
        for (ACL a : acl) {
            String perms = "";
            for (int i = 0; i < 5; i++) {
                perms += (a.getPerms() & 1 << i) != 0 ? "rwcda".charAt(i) : '-';
            }
            text.add(a.getId().getScheme() + ":" + a.getId().getId() + ":" + perms);
        }
        return text.toString();
    }

    static String clients(List<ClientInfo> infos) {
        List<String> text = new ArrayList<>();
        for (ClientInfo i : infos) {
            text.add(i.getAuthScheme() + ":" + i.getUser());
        }
        return names(text);
    }

    static String error(Throwable t) {
        if (t instanceof KeeperException k) {
            return k.code() + (k.getPath() == null ? "" : " for " + k.getPath())
                    + (k.getResults() == null ? "" : " results " + results(k.getResults()));
        }
        return "refused by the client: " + t.getClass().getSimpleName();
    }

    static String results(List<OpResult> results) {
        List<String> text = new ArrayList<>();
        for (OpResult r : results) {
            if (r instanceof OpResult.ErrorResult e) {
                text.add("error " + KeeperException.Code.get(e.getErr()));
            } else if (r instanceof OpResult.CreateResult c) {
                text.add("type " + r.getType() + " " + c.getPath() + (c.getStat() == null ? "" : " {" + stat(c.getStat()) + "}"));
            } else if (r instanceof OpResult.SetDataResult s) {
                text.add("setData {" + stat(s.getStat()) + "}");
            } else if (r instanceof OpResult.GetDataResult g) {
                text.add("getData " + data(g.getData()) + " {" + stat(g.getStat()) + "}");
            } else if (r instanceof OpResult.GetChildrenResult g) {
                text.add("getChildren " + names(g.getChildren()));
            } else if (r instanceof OpResult.DeleteResult) {
                text.add("delete");
            } else if (r instanceof OpResult.CheckResult) {
                text.add("check");
            } else {
                text.add(r.toString());
            }
        }
        return text.toString();
    }
}
